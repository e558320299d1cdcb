/* SPDX-License-Identifier: Apache-2.0 */
/* `qair status`, `qair calls`, `qair kill`: front ends of the broker's own services (tools/ask.h). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/number.h"
#include "tools/ask.h"
#include "tools/command.h"

typedef struct ManagementOptions {
        bool json, timing, help;
} ManagementOptions;

static int parse_options(int argc, char **argv, bool has_timing, ManagementOptions *ret_options) {
        const struct option known[] = {
                { "json", no_argument, NULL, 'j' },
                { "help", no_argument, NULL, 'h' },
                { has_timing ? "timing" : NULL, no_argument, NULL, 't' },
                {},
        };
        ManagementOptions options = {};
        int option;

        opterr = 0;
        optind = 1;
        while ((option = getopt_long(argc, argv, "h", known, NULL)) >= 0)
                switch (option) {
                case 'j':
                        options.json = true;
                        break;
                case 't':
                        options.timing = true;
                        break;
                case 'h':
                        options.help = true;
                        break;
                default:
                        return command_complain_option(option, argv, argv[0]);
                }
        *ret_options = options;
        return COMMAND_STATUS_DONE;
}

static int complain_too_many(const char *command, const char *argument) {
        command_complain("%s: '%s' is one argument too many", command, ESCAPED(argument, strlen(argument)));
        return COMMAND_STATUS_USAGE;
}

static int print_timing(struct json_object *answer) {
        static const char *const stages[] = { "decide", "ask", "start", "connect", "run" };
        struct json_object *services;
        char median[32], p99[32];

        if (!json_object_object_get_ex(answer, "services", &services))
                return error_origin(-EBADMSG);
        printf("%-32s %-8s %8s %10s %10s\n", "SERVICE", "STAGE", "COUNT", "MEDIAN", "P99");
        json_object_object_foreach(services, name, service) {
                for (size_t i = 0; i < ARRAY_SIZE(stages); ++i) {
                        struct json_object *stage;

                        if (!json_object_object_get_ex(service, stages[i], &stage))
                                continue;
                        printf("%-32s %-8s %8llu %10s %10s\n", name, stages[i],
                               (unsigned long long)ask_number(stage, "count"),
                               ask_duration(ask_number(stage, "median_usec"), median),
                               ask_duration(ask_number(stage, "p99_usec"), p99));
                }
        }
        return COMMAND_STATUS_DONE;
}

static void print_status(struct json_object *answer) {
        struct json_object *audit = NULL, *domains = NULL;
        char uptime[32];

        json_object_object_get_ex(answer, "audit", &audit);
        json_object_object_get_ex(answer, "domains", &domains);
        printf("broker     process %llu, up %s\n", (unsigned long long)ask_number(answer, "pid"),
               ask_duration(ask_number(answer, "uptime_usec"), uptime));
        printf("policy     %s\n", ask_text(answer, "policy"));
        printf("inventory  %s\n", ask_text(answer, "inventory"));
        printf("ask.conf   %s\n", ask_text(answer, "ask"));
        printf("audit      to %s, %llu records waiting%s%s\n", ask_text(audit, "to"),
               (unsigned long long)ask_number(audit, "records_waiting"), ask_text(audit, "problem")[0] ? ": " : "",
               ask_text(audit, "problem"));
        printf("calls      %llu open: %llu running, %llu connecting, %llu wait for their target to start, %llu for a "
               "person\n\n",
               (unsigned long long)ask_number(answer, "calls"), (unsigned long long)ask_number(answer, "running"),
               (unsigned long long)ask_number(answer, "connecting"), (unsigned long long)ask_number(answer, "starting"),
               (unsigned long long)ask_number(answer, "asking"));
        printf("%-31s %-9s %s\n", "DOMAIN", "STATE", "CALLS");
        for (size_t i = 0; i < json_object_array_length(domains); ++i) {
                struct json_object *domain = json_object_array_get_idx(domains, i);

                printf("%-31s %-9s %llu\n", ask_text(domain, "name"), ask_text(domain, "state"),
                       (unsigned long long)ask_number(domain, "calls"));
        }
}

int command_status(int argc, char **argv) {
        _cleanup_json_ answer = NULL;
        ManagementOptions options;
        int r, status;

        r = parse_options(argc, argv, true, &options);
        if (r)
                return r;
        if (options.help) {
                printf("Usage: qair status [--timing] [--json]\n"
                       "How the broker is, and its domains; with --timing: where the time of calls goes, by "
                       "service.\n");
                return COMMAND_STATUS_DONE;
        }
        if (optind < argc)
                return complain_too_many("status", argv[optind]);
        r = options.timing ? ask("qair.Timing", &answer, &status) : ask_all("qair.Status", "domains", "name", &answer);
        if (r)
                return r > 0 ? COMMAND_STATUS_FAILED : error_trace(r);
        if (options.json)
                return error_trace(ask_print_json(answer));
        if (options.timing)
                return error_trace(print_timing(answer));
        print_status(answer);
        return COMMAND_STATUS_DONE;
}

int command_calls(int argc, char **argv) {
        _cleanup_json_ answer = NULL;
        ManagementOptions options;
        struct json_object *calls;
        int r;

        r = parse_options(argc, argv, false, &options);
        if (r)
                return r;
        if (options.help) {
                printf("Usage: qair calls [--json]\n"
                       "The calls that are open.\n");
                return COMMAND_STATUS_DONE;
        }
        if (optind < argc)
                return complain_too_many("calls", argv[optind]);
        r = ask_all("qair.Calls", "calls", "call", &answer);
        if (r)
                return r > 0 ? COMMAND_STATUS_FAILED : error_trace(r);
        if (options.json)
                return error_trace(ask_print_json(answer));
        json_object_object_get_ex(answer, "calls", &calls);
        printf("%9s %9s %-10s %-15s %-15s %s\n", "CALL", "AGE", "STATE", "SOURCE", "TARGET", "SERVICE");
        for (size_t i = 0; i < json_object_array_length(calls); ++i) {
                struct json_object *call = json_object_array_get_idx(calls, i);
                const char *source = ask_text(call, "source"), *service = ask_text(call, "service");
                char age[32];

                printf("%9llu %9s %-10s %-15s %-15s %s\n", (unsigned long long)ask_number(call, "call"),
                       ask_duration(ask_number(call, "age_usec"), age), ask_text(call, "state"),
                       source[0] ? source : "?", ask_text(call, "target"), service[0] ? service : "(begun earlier)");
        }
        return COMMAND_STATUS_DONE;
}

static int tell_killed(const char *id, struct json_object *answer, int status) {
        if (status != 0) {
                command_complain("call %s: %s", id, ask_text(answer, "result"));
                return COMMAND_STATUS_FAILED;
        }
        printf("call %s: %s (%s", id, ask_text(answer, "result"), ask_text(answer, "how"));
        if (json_object_object_get_ex(answer, "status", NULL))
                printf(", status %llu", (unsigned long long)ask_number(answer, "status"));
        puts(")");
        return COMMAND_STATUS_DONE;
}

int command_kill(int argc, char **argv) {
        ManagementOptions options;
        int r;

        r = parse_options(argc, argv, false, &options);
        if (r)
                return r;
        if (options.help) {
                printf("Usage: qair kill [--json] ID ...\n"
                       "End calls, and wait until they have ended. 'qair calls' lists their ids.\n");
                return COMMAND_STATUS_DONE;
        }
        if (optind == argc) {
                command_complain("kill: which call? 'qair calls' lists their ids");
                return COMMAND_STATUS_USAGE;
        }
        for (int i = optind; i < argc; ++i) {
                uint64_t id;

                if (number_parse(argv[i], strlen(argv[i]), 1, UINT32_MAX, &id)) {
                        command_complain("kill: '%s' is no call id", ESCAPED(argv[i], strlen(argv[i])));
                        return COMMAND_STATUS_USAGE;
                }
        }
        return error_trace(ask_each("qair.Kill", argv + optind, argc - optind, options.json, tell_killed));
}
