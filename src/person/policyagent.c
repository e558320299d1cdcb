/* SPDX-License-Identifier: Apache-2.0 */
#include "person/policyagent.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/name.h"
#include "base/paths.h"
#include "base/socket.h"
#include "qubesdb/client.h"
#include "wire/answer.h"

/** What we call ourselves where neither QubesDB nor the account's name says it. */
#define POLICY_AGENT_HERE "here"

static void json_putp(struct json_object **object) {
        json_object_put(*object);
}

/* The name of this domain, which is what can be chosen. */
static void policy_agent_name(DomainName *ret_name) {
        _cleanup_(qubesdb_client_closep) QubesdbClient *client = NULL;
        _cleanup_free_ char *name = NULL;
        const char *user = getenv("USER") ?: "";
        size_t n;

        if (qubesdb_client_open(NULL, &client) == 0 && qubesdb_client_read(client, "/name", &name, &n) == 0 &&
            domain_name_parse(name, n, ret_name) == 0)
                return;
        if (domain_name_parse(user, strlen(user), ret_name))
                *ret_name = (DomainName){ POLICY_AGENT_HERE };
}

/* --- what is said ----------------------------------------------------------------------------------------------- */

/* Takes @value, also on failure. Return: 0 or -ENOMEM */
static int policy_agent_put(struct json_object *object, const char *key, struct json_object *value) {
        if (value && json_object_object_add(object, key, value) == 0)
                return 0;
        json_object_put(value);
        return error_origin(-ENOMEM);
}

static int policy_agent_put_text(struct json_object *object, const char *key, const char *text) {
        return policy_agent_put(object, key, json_object_new_string(text));
}

/* Takes @value, also on failure. Return: 0 or -ENOMEM */
static int policy_agent_put_list(struct json_object *object, const char *key, struct json_object *value) {
        struct json_object *list = json_object_new_array();
        int r;

        r = policy_agent_put(object, key, list);
        if (!r && value && json_object_array_add(list, value) == 0)
                return 0;
        json_object_put(value);
        return r ?: error_origin(-ENOMEM);
}

/* What question and notification have in common. */
static int policy_agent_put_call(struct json_object *object, const char *source, const char *service,
                                 const char *argument) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (asprintf(&text, "+%s", argument) < 0) {
                text = NULL;
                return error_origin(-ENOMEM);
        }
        r = policy_agent_put_text(object, "source", source);
        r = r ?: policy_agent_put_text(object, "service", service);
        return r ?: policy_agent_put_text(object, "argument", text);
}

static bool policy_agent_offers(const PolicyAgentQuestion *question) {
        return question->for_sec > 0 && question->for_sec <= ANSWER_SEC_MAX;
}

static int policy_agent_put_question(struct json_object *object, const PolicyAgentQuestion *question,
                                     const DomainName *here) {
        struct json_object *icons = json_object_new_object();
        int r;

        r = policy_agent_put(object, "icons", icons);
        r = r ?: policy_agent_put_text(icons, question->source, "");
        r = r ?: policy_agent_put_text(icons, here->text, "");
        r = r ?: policy_agent_put_call(object, question->source, question->service, question->argument);
        r = r ?: policy_agent_put_list(object, "targets", json_object_new_string(here->text));
        r = r ?: policy_agent_put_text(object, "default_target", here->text);
        r = r ?: policy_agent_put_text(object, "text", question->text);
        if (!r && policy_agent_offers(question))
                r = policy_agent_put_list(object, "allow_for", json_object_new_int64(question->for_sec));
        if (!r && question->timeout_sec > 0)
                r = policy_agent_put(object, "timeout", json_object_new_int64(question->timeout_sec));
        return r;
}

static int policy_agent_put_notice(struct json_object *object, const PolicyAgentNotice *notice,
                                   const DomainName *here) {
        int r;

        r = policy_agent_put_call(object, notice->source, notice->service, notice->argument);
        r = r ?: policy_agent_put_text(object, "resolution", notice->refused ? "deny" : "allow");
        r = r ?: policy_agent_put_text(object, "target", here->text);
        if (!r && notice->n_uses > 1)
                r = policy_agent_put(object, "count", json_object_new_int64(notice->n_uses));
        return r;
}

/* --- the connection --------------------------------------------------------------------------------------------- */

/* Return: 0 or POLICY_AGENT_E_NONE */
static int policy_agent_connect(int *ret_fd) {
        char path[SOCKET_PATH_MAX];

        if (paths_session(geteuid(), PATHS_POLICY_AGENT, path, sizeof(path)) ||
            socket_connect(path, SOCK_STREAM, ret_fd))
                return POLICY_AGENT_E_NONE;
        return 0;
}

/* Say SERVICE and @object, and that this is all. Return: 0, POLICY_AGENT_E_NONE, or a negative error */
static int policy_agent_send(const char *service, struct json_object *object, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        const char *json;
        char header[64];
        int n, r;

        json = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
        if (!json)
                return error_origin(-ENOMEM);
        r = policy_agent_connect(&fd);
        if (r)
                return r;
        n = snprintf(header, sizeof(header), "%s " DOM0_NAME, service);
        if (fd_write_full(fd, header, (size_t)n + 1) < 0 || fd_write_full(fd, json, strlen(json)) < 0 ||
            shutdown(fd, SHUT_WR) < 0)
                return POLICY_AGENT_E_NONE;
        *ret_fd = fd_steal(&fd);
        return 0;
}

enum {
        READ_E_TIMEOUT = 1,
        READ_E_CALLER,
        READ_E_FAILED, /* it said too much, or the connection broke */
};

/* Everything that it says until it hangs up. Return: 0 or READ_E_… */
static int policy_agent_read(int fd, const PolicyAgentQuestion *question, char ret_text[static ANSWER_MAX],
                             size_t *ret_n) {
        uint64_t now = clock_now(),
                 deadline = question->timeout_sec > 0 ? now + question->timeout_sec * USEC_PER_SEC : UINT64_MAX;
        size_t n_text = 0;

        for (; now < deadline; now = clock_now()) {
                struct pollfd polled[] = {
                        { .fd = fd, .events = POLLIN },
                        { .fd = question->caller_fd, .events = 0 }, /* a hang-up comes unasked; -1 is passed over */
                };
                ssize_t n;

                if (poll(polled, ARRAY_SIZE(polled), clock_timeout(deadline, now)) < 0)
                        continue;
                if (polled[1].revents)
                        return READ_E_CALLER;
                if (!polled[0].revents)
                        continue;
                n = read(fd, ret_text + n_text, ANSWER_MAX - n_text);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 || n_text == ANSWER_MAX)
                        return READ_E_FAILED;
                if (n == 0) {
                        *ret_n = n_text;
                        return 0;
                }
                n_text += (size_t)n;
        }
        return READ_E_TIMEOUT;
}

/* --- both ------------------------------------------------------------------------------------------------------- */

static bool policy_agent_understand(const PolicyAgentQuestion *question, const DomainName *here, const char *text,
                                    size_t n_text, PolicyAgentAnswer *ret_answer) {
        Answer answer;

        if (answer_decode(text, n_text, &answer))
                return false;
        *ret_answer = (PolicyAgentAnswer){ .yes = answer.allow, .for_long = answer.sec > 0 };
        return !answer.allow ||
               (answer.n_target == strlen(here->text) && memcmp(answer.target, here->text, answer.n_target) == 0 &&
                (answer.sec == 0 || (policy_agent_offers(question) && answer.sec == question->for_sec)));
}

int policy_agent_ask(const PolicyAgentQuestion *question, PolicyAgentAnswer *ret_answer) {
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        PolicyAgentAnswer no = {}, answer;
        _cleanup_fd_ int fd = -1;
        char text[ANSWER_MAX];
        DomainName here;
        size_t n;
        int r;

        if (!object)
                return error_origin(-ENOMEM);
        policy_agent_name(&here);
        if (strcmp(here.text, question->source) == 0)
                return POLICY_AGENT_E_NONE;
        r = policy_agent_put_question(object, question, &here);
        r = r ?: policy_agent_send("policy.Ask", object, &fd);
        if (r)
                return r;
        r = policy_agent_read(fd, question, text, &n);
        if (r == READ_E_CALLER)
                return POLICY_AGENT_E_CALLER;
        /* It ends without a word where nobody is there who could give one. */
        if (!r && n == 0)
                return POLICY_AGENT_E_NONE;
        *ret_answer = !r && policy_agent_understand(question, &here, text, n, &answer) ? answer : no;
        return 0;
}

int policy_agent_notify(const PolicyAgentNotice *notice) {
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        _cleanup_fd_ int fd = -1;
        DomainName here;
        int r;

        if (!object)
                return error_origin(-ENOMEM);
        policy_agent_name(&here);
        r = policy_agent_put_notice(object, notice, &here);
        return r ?: policy_agent_send("policy.Notify", object, &fd);
}
