/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole request handler (A.1: `wire`, `expect_wire`), with an agent that says what the case says: the answer on the
 * policy socket, what the agent was called for, and what was logged.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "parts.h"
#include "policy-tools/handler.h"
#include "policy/quote.h"

/** The case that runs: the handler's callbacks are told of none. */
static struct {
        Case *c;
        struct json_object *calls; /* as in `expect_wire` */
        struct json_object *log;   /* [logger, message] each; levels are not the handler's */
} running;

static void on_log(PolicyLogger logger, const char *message) {
        struct json_object *entry = json_object_new_array();

        json_object_array_add(entry, json_object_new_string(logger == POLICY_LOGGER_POLICY ? "policy" : "root"));
        json_object_array_add(entry, json_object_new_string(message));
        json_object_array_add(running.log, entry);
}

static int on_call_agent(const char *guivm, const char *service, const char *params, char **ret_answer) {
        struct json_object *wire = member(running.c->object, "wire"), *call = json_object_new_object();
        struct json_object *parsed = json_tokener_parse(params);

        for (const char *p = params; *p != '\0'; ++p)
                if ((unsigned char)*p >= 0x80)
                        case_fail(running.c, "the agent is sent what is not ASCII: %s", params);
        json_object_object_add(call, "guivm", json_object_new_string(guivm));
        json_object_object_add(call, "service", json_object_new_string(service));
        json_object_object_add(call, "params", parsed);
        json_object_array_add(running.calls, call);
        if (json_object_get_boolean(member(wire, "agent_fails")))
                return 1;
        *ret_answer = strdup(strcmp(service, "policy.Ask") == 0 ? text(wire, "agent") ?: "deny" : "");
        return *ret_answer ? 0 : -ENOMEM;
}

static void check_calls(struct json_object *want) {
        if (want && !json_object_equal(running.calls, want))
                case_fail(running.c, "called %s,\n  want %s", json_object_to_json_string(running.calls),
                          json_object_to_json_string(want));
}

static void check_log(struct json_object *want) {
        size_t n = want ? json_object_array_length(want) : 0;

        if (!want)
                return;
        if (json_object_array_length(running.log) != n) {
                case_fail(running.c, "logged %s, want %s", json_object_to_json_string(running.log),
                          json_object_to_json_string(want));
                return;
        }
        for (size_t i = 0; i < n; ++i) {
                struct json_object *entry = json_object_array_get_idx(want, i), *got;
                const char *message = json_object_get_string(json_object_array_get_idx(entry, 2));
                _cleanup_free_ char *expanded = expand(running.c, message), *shown = NULL;

                got = json_object_array_get_idx(running.log, i);
                case_same(running.c, "logger", json_object_get_string(json_object_array_get_idx(got, 0)),
                          json_object_get_string(json_object_array_get_idx(entry, 0)));
                shown = policy_show_new(policy_slice(expanded));
                if (shown && is_ascii(message))
                        case_same(running.c, "log", json_object_get_string(json_object_array_get_idx(got, 1)), shown);
        }
}

void case_check_wire(Case *c, struct json_object *inventories) {
        struct json_object *wire = member(c->object, "wire"), *expect = member(c->object, "expect_wire");
        const char *const directories[] = { c->run, c->etc };
        PolicySocketRequest request = {
                .request = c->request,
                .just_evaluate = json_object_get_boolean(member(wire, "just_evaluate")),
                .assume_yes_for_ask = json_object_get_boolean(member(wire, "assume_yes_for_ask")),
        };
        char path[PATH_MAX + 16];
        const PolicyHandler handler = { .directories = directories,
                                        .n_directories = ARRAY_SIZE(directories),
                                        .legacy = c->legacy,
                                        .system_info = path,
                                        .log = on_log,
                                        .call_agent = on_call_agent };
        _cleanup_free_ char *answer = NULL;

        case_write_information(c, inventories, path);
        running.c = c;
        running.calls = json_object_new_array();
        running.log = json_object_new_array();
        if (policy_handle(&handler, &request, &answer) < 0)
                die("policy_handle");
        case_same(c, "reply", answer ?: "result=deny", text(expect, "reply") ?: "result=deny");
        check_calls(member(expect, "calls"));
        check_log(member(expect, "log"));
        json_object_put(running.calls);
        json_object_put(running.log);
}
