/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/agentcall.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/exchange.h"
#include "base/fd.h"
#include "base/name.h"
#include "base/socket.h"
#include "base/text.h"
#include "policy/lexer.h"

/** Of a client's standard error, which nobody reads. */
#define COMPLAINT_MAX 65536

/*
 * What is sent
 */

static int add(struct json_object *object, const char *key, PolicySlice text) {
        struct json_object *value = json_object_new_string_len(text.n > 0 ? text.text : "", (int)text.n);

        if (value && json_object_object_add(object, key, value) == 0)
                return 0;
        json_object_put(value);
        return error_origin(-ENOMEM);
}

/* `appvm-red` is `dispvm-red` of a disposable made from it: every `app` becomes `disp`. */
static int add_disposable_icon(struct json_object *icons, const PolicyDomain *domain) {
        const char *icon = domain->icon ? domain->icon->text : "";
        _cleanup_free_ char *key = NULL, *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);
        int r;

        if (!stream)
                return error_origin(-ENOMEM);
        while (*icon != '\0')
                if (strncmp(icon, "app", 3) == 0) {
                        fputs("disp", stream);
                        icon += 3;
                } else {
                        fputc(*icon++, stream);
                }
        r = text_close(stream, &text);
        if (r)
                return error_trace(r);
        r = asprintf(&key, "@dispvm:%s", domain->name->text);
        if (r < 0) {
                key = NULL;
                return error_origin(-ENOMEM);
        }
        return add(icons, key, (PolicySlice){ text, n });
}

static int add_icons(struct json_object *object, const PolicyFacts *facts) {
        struct json_object *icons = json_object_new_object();
        int r = 0;

        if (!icons || json_object_object_add(object, "icons", icons) < 0) {
                json_object_put(icons);
                return error_origin(-ENOMEM);
        }
        for (size_t i = 0; i < facts->n_domains && r == 0; ++i) {
                const PolicyDomain *domain = &facts->domains[i];

                r = add(icons, domain->name->text, domain->icon ? policy_atom_slice(domain->icon) : (PolicySlice){});
                if (r == 0 && domain->is_base == POLICY_FACT_YES)
                        r = add_disposable_icon(icons, domain);
        }
        return r;
}

static int add_targets(struct json_object *object, const PolicyQuestion *question) {
        struct json_object *targets = json_object_new_array();

        if (!targets || json_object_object_add(object, "targets", targets) < 0) {
                json_object_put(targets);
                return error_origin(-ENOMEM);
        }
        for (size_t i = 0; i < question->n_choices; ++i)
                if (json_object_array_add(targets, json_object_new_string(question->choices[i])) < 0)
                        return error_origin(-ENOMEM);
        return 0;
}

/* JSON in ASCII: all else is in its texts, where it can be escaped. */
static int format(struct json_object *object, char **ret_text) {
        PolicySlice json = policy_slice(
                json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
        char *text = NULL;
        size_t n_text = 0;
        FILE *stream = open_memstream(&text, &n_text);
        int r;

        if (!stream)
                return error_origin(-ENOMEM);
        while (json.n > 0) {
                uint32_t c = 0xfffd;
                size_t n = policy_utf8_decode(json, &c) ?: 1;

                if (c < 0x80)
                        fputc((int)c, stream);
                else if (c < 0x10000)
                        fprintf(stream, "\\u%04x", c);
                else
                        fprintf(stream, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                                0xdc00 + ((c - 0x10000) & 0x3ff));
                json = policy_slice_skip(json, n);
        }
        r = text_close(stream, &text);
        if (r)
                return error_trace(r);
        *ret_text = text;
        return 0;
}

int policy_agent_question(const PolicyQuestion *question, char **ret_text) {
        const PolicyResolution *resolution = &question->resolution;
        struct json_object *object = json_object_new_object();
        int r = object ? 0 : error_origin(-ENOMEM);

        r = r ?: add(object, "source", resolution->source.text);
        r = r ?: add(object, "service", resolution->service);
        r = r ?: add(object, "argument", resolution->argument);
        r = r ?: add_targets(object, question);
        r = r ?: add(object, "default_target", policy_slice(question->default_choice));
        r = r ?: add_icons(object, question->facts);
        r = r ?: format(object, ret_text);
        json_object_put(object);
        return r;
}

int policy_agent_notice(const PolicyNotice *notice, char **ret_text) {
        struct json_object *object = json_object_new_object();
        int r = object ? 0 : error_origin(-ENOMEM);

        r = r ?: add(object, "resolution", policy_slice(notice->resolution));
        r = r ?: add(object, "service", notice->service);
        r = r ?: add(object, "argument", notice->argument);
        r = r ?: add(object, "source", notice->source);
        r = r ?: add(object, "target", notice->target);
        r = r ?: format(object, ret_text);
        json_object_put(object);
        return r;
}

/*
 * How
 */

/* `SERVICE dom0 name dom0` NUL JSON, and the answer to the end. */
static int call_socket(const char *services, const char *service, const char *params, char **ret_answer) {
        _cleanup_free_ char *request = NULL;
        _cleanup_fd_ int fd = -1;
        char path[PATH_MAX];
        size_t n;
        int r;

        snprintf(path, sizeof(path), "%s/%s", services, service);
        if (socket_connect(path, SOCK_STREAM, &fd) != 0)
                return POLICY_AGENT_E_FAILED;
        r = asprintf(&request, "%s dom0 name dom0%c%s", service, '\0', params);
        if (r < 0) {
                request = NULL;
                return error_origin(-ENOMEM);
        }
        if (fd_write_full(fd, request, (size_t)r) < 0 || shutdown(fd, SHUT_WR) < 0)
                return POLICY_AGENT_E_FAILED;
        r = fd_read_all(fd, POLICY_AGENT_ANSWER_MAX, ret_answer, &n);
        if (r == -ENOMEM)
                return error_origin(r);
        return r == 0 ? 0 : POLICY_AGENT_E_FAILED;
}

static int call_client(const PolicyAgentPaths *paths, const char *guivm, const char *service, const char *params,
                       char **ret_answer) {
        _cleanup_(exchange_deinit) Exchange exchange = {};
        _cleanup_free_ char *command = NULL;
        bool is_host = access(paths->client, X_OK) == 0;
        int r;

        if (asprintf(&command, "DEFAULT:QUBESRPC %s dom0", service) < 0) {
                command = NULL;
                return error_origin(-ENOMEM);
        }
        if (is_host)
                r = exchange_run((const char *const[]){ paths->client, "-d", guivm, command, NULL }, NULL, params,
                                 strlen(params), POLICY_AGENT_ANSWER_MAX, COMPLAINT_MAX, &exchange);
        else
                r = exchange_run((const char *const[]){ paths->client_vm, "--", guivm, service, NULL }, NULL, params,
                                 strlen(params), POLICY_AGENT_ANSWER_MAX, COMPLAINT_MAX, &exchange);
        if (r < 0)
                return error_trace(r);
        if (r > 0 || exchange.status != 0)
                return POLICY_AGENT_E_FAILED;
        *ret_answer = steal_ptr(&exchange.out);
        return 0;
}

int policy_agent_call(const PolicyAgentPaths *paths, const char *guivm, const char *service, const char *params,
                      char **ret_answer) {
        if (strcmp(guivm, DOM0_NAME) == 0)
                return call_socket(paths->services, service, params, ret_answer);
        return call_client(paths, guivm, service, params, ret_answer);
}
