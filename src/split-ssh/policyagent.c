/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/policyagent.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/name.h"
#include "base/socket.h"
#include "qubesdb/client.h"
#include "split-ssh/wording.h"
#include "wire/answer.h"

#define POLICY_AGENT_SOCKET   "qubes/policy-agent.sock"
#define POLICY_AGENT_PATH_MAX 108
/** What we call ourselves where QubesDB does not know better. */
#define POLICY_AGENT_HERE "here"

static void json_putp(struct json_object **object) {
        json_object_put(*object);
}

/* The name of this domain, which is what can be chosen. */
static void policy_agent_name(DomainName *ret_name) {
        _cleanup_(qubesdb_client_closep) QubesdbClient *client = NULL;
        _cleanup_free_ char *name = NULL;
        size_t n;

        if (qubesdb_client_open(NULL, &client) || qubesdb_client_read(client, "/name", &name, &n) ||
            domain_name_parse(name, n, ret_name))
                *ret_name = (DomainName){ POLICY_AGENT_HERE };
}

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

/* What question and notification have in common. */
static int policy_agent_put_call(struct json_object *object, const Record *record) {
        char argument[RECORD_VALUE_MAX + 2];
        int r;

        (void)snprintf(argument, sizeof(argument), "+%s", record->values[RECORD_AGENT]);
        r = policy_agent_put_text(object, "source", record->values[RECORD_SOURCE]);
        r = r ?: policy_agent_put_text(object, "service", "qubes.SshAgent");
        return r ?: policy_agent_put_text(object, "argument", argument);
}

static int policy_agent_put_targets(struct json_object *object, const Record *record, const DomainName *here) {
        struct json_object *targets = json_object_new_array(), *icons = json_object_new_object();
        struct json_object *target = json_object_new_string(here->text);
        int r;

        r = policy_agent_put(object, "targets", targets) ?: policy_agent_put(object, "icons", icons);
        if (r || !target || json_object_array_add(targets, target) < 0) {
                json_object_put(target);
                return r ?: error_origin(-ENOMEM);
        }
        r = policy_agent_put_text(icons, record->values[RECORD_SOURCE], "");
        r = r ?: policy_agent_put_text(icons, here->text, "");
        return r ?: policy_agent_put_text(object, "default_target", here->text);
}

static int policy_agent_put_question(struct json_object *object, const Record *record, const DomainName *here) {
        char text[WORDING_MAX];
        int r;

        r = policy_agent_put_call(object, record);
        r = r ?: policy_agent_put_targets(object, record, here);
        r = r ?: policy_agent_put_text(object, "text", wording_question(record, text));
        if (!r && record->timeout_sec > 0)
                r = policy_agent_put(object, "timeout", json_object_new_int64(record->timeout_sec));
        return r;
}

/* Say SERVICE and @object, and that this is all. Return: 0, POLICY_AGENT_E_NONE, or a negative error */
static int policy_agent_send(const char *service, struct json_object *object, int *ret_fd) {
        const char *runtime = getenv("XDG_RUNTIME_DIR"), *json;
        char path[POLICY_AGENT_PATH_MAX], header[64];
        _cleanup_fd_ int fd = -1;
        int n;

        n = runtime && runtime[0] == '/' ? snprintf(path, sizeof(path), "%s/" POLICY_AGENT_SOCKET, runtime)
                                         : snprintf(path, sizeof(path), "/run/user/%u/" POLICY_AGENT_SOCKET, geteuid());
        json = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
        if (!json)
                return error_origin(-ENOMEM);
        if (n < 0 || (size_t)n >= sizeof(path) || socket_connect(path, SOCK_STREAM, &fd))
                return POLICY_AGENT_E_NONE;
        n = snprintf(header, sizeof(header), "%s dom0", service);
        if (n < 0 || fd_write_full(fd, header, (size_t)n + 1) < 0 || fd_write_full(fd, json, strlen(json)) < 0 ||
            shutdown(fd, SHUT_WR) < 0)
                return POLICY_AGENT_E_NONE;
        *ret_fd = fd_steal(&fd);
        return 0;
}

int policy_agent_ask(const Record *record, bool *ret_yes) {
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        _cleanup_free_ char *text = NULL;
        _cleanup_fd_ int fd = -1;
        DomainName here;
        Answer answer;
        size_t n;
        int r;

        if (!object)
                return error_origin(-ENOMEM);
        policy_agent_name(&here);
        /* A source that is called as we are cannot be told from us. */
        if (strcmp(here.text, record->values[RECORD_SOURCE]) == 0)
                return POLICY_AGENT_E_NONE;
        r = policy_agent_put_question(object, record, &here) ?: policy_agent_send("policy.Ask", object, &fd);
        if (r)
                return r;
        /* It ends without an answer where nobody is there who could give one. */
        if (fd_read_all(fd, ANSWER_MAX, &text, &n) || answer_decode(text, n, &answer))
                return POLICY_AGENT_E_NONE;
        *ret_yes = answer.allow && answer.n_target == strlen(here.text) &&
                   memcmp(answer.target, here.text, answer.n_target) == 0;
        return 0;
}

int policy_agent_notify(const Record *record) {
        _cleanup_(json_putp) struct json_object *object = json_object_new_object();
        bool refused = strcmp(record->values[RECORD_VERDICT], "deny") == 0;
        _cleanup_fd_ int fd = -1;
        DomainName here;
        int r;

        if (!object)
                return error_origin(-ENOMEM);
        policy_agent_name(&here);
        r = policy_agent_put_call(object, record);
        r = r ?: policy_agent_put_text(object, "resolution", refused ? "deny" : "allow");
        r = r ?: policy_agent_put_text(object, "target", here.text);
        return r ?: policy_agent_send("policy.Notify", object, &fd);
}
