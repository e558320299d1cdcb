/* SPDX-License-Identifier: Apache-2.0 */
/* `qair domain start`, `qair domain stop`, and which domains run: front ends of the broker's services (tools/ask.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "tools/ask.h"
#include "tools/command.h"
#include "tools/domain.h"

/* The broker itself gives up before that, and says so. */
#define IN_FORCE_MSEC 8000
/* "qair.Status+NAME" */
#define STATE_SERVICE_MAX 64

static int states_add(struct json_object *states, struct json_object *domains, const char **ret_last) {
        for (size_t i = 0; i < json_object_array_length(domains); ++i) {
                struct json_object *entry = json_object_array_get_idx(domains, i);
                struct json_object *state = json_object_new_string(ask_text(entry, "state"));

                if (!state || json_object_object_add(states, ask_text(entry, "name"), state) < 0) {
                        json_object_put(state);
                        return error_origin(-ENOMEM);
                }
                *ret_last = ask_text(entry, "name");
        }
        return 0;
}

/* Who is dom0 may, and knows it without asking; others would have a refusal in the log for a look at the list. */
static bool may_ask(void) {
        return command_paths()->is_user || geteuid() == 0;
}

/* Is there, as far as we may ask it, a broker for this folder? */
static bool is_served(const DomainOptions *options) {
        return may_ask() && strcmp(options->dir, command_paths()->domains_dir) == 0 &&
               access(command_paths()->admin_socket, F_OK) == 0;
}

int domain_wait_in_force(const DomainOptions *options) {
        _cleanup_json_ answer = NULL;
        const char *problem = "no broker has answered: 'qair doctor' looks for what is wrong";
        int r;

        if (!is_served(options))
                return 0;
        r = ask_quietly("qair.Reload", IN_FORCE_MSEC, &answer);
        if (r < 0)
                return error_trace(r);
        if (!r)
                problem = ask_text(answer, "error");
        if (problem[0] != '\0')
                command_complain("%s: it is saved, but not in force yet: %s", options->name,
                                 ESCAPED(problem, strlen(problem)));
        return 0;
}

int domain_states(const DomainOptions *options, struct json_object **ret_states) {
        _cleanup_json_ states = json_object_new_object();
        char service[STATE_SERVICE_MAX] = "qair.Status";
        bool more = is_served(options);

        if (!states)
                return error_origin(-ENOMEM);
        while (more) {
                _cleanup_json_ answer = NULL;
                struct json_object *domains;
                const char *last = NULL;
                int r;

                r = ask_quietly(service, ASK_QUIETLY_MSEC, &answer);
                if (r < 0)
                        return error_trace(r);
                if (r || !json_object_object_get_ex(answer, "domains", &domains) ||
                    !json_object_is_type(domains, json_type_array))
                        break;
                r = states_add(states, domains, &last);
                if (r)
                        return r;
                more = ask_flag(answer, "more") && last;
                if (more)
                        snprintf(service, sizeof(service), "qair.Status+%s", last);
        }
        *ret_states = steal_ptr(&states);
        return 0;
}

static int change_state(const DomainOptions *options, const char *service_name) {
        _cleanup_json_ answer = NULL;
        char service[STATE_SERVICE_MAX];
        uint64_t n_calls;
        int status, r;

        snprintf(service, sizeof(service), "%s+%s", service_name, options->name);
        r = ask(service, &answer, &status);
        if (r)
                return r < 0 ? error_trace(r) : COMMAND_STATUS_FAILED;
        if (options->json) {
                r = ask_print_json(answer);
                return r ? r : status == 0 ? COMMAND_STATUS_DONE : COMMAND_STATUS_FAILED;
        }
        if (status != 0) {
                const char *problem = ask_text(answer, "problem");

                command_complain("%s is %s: %s", options->name, ask_text(answer, "state"),
                                 ESCAPED(problem, strlen(problem)));
                return COMMAND_STATUS_FAILED;
        }
        n_calls = ask_number(answer, "calls_here");
        printf("%s is %s\n", options->name, ask_text(answer, "state"));
        if (n_calls > 0 && strcmp(ask_text(answer, "state"), "halted") == 0)
                printf("%llu call%s there: 'qair calls' lists what is open\n", (unsigned long long)n_calls,
                       n_calls == 1 ? " still runs" : "s still run");
        return COMMAND_STATUS_DONE;
}

int domain_start(const DomainOptions *options) {
        return change_state(options, "qair.DomainStart");
}

int domain_stop(const DomainOptions *options) {
        return change_state(options, "qair.DomainStop");
}
