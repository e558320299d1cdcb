/* SPDX-License-Identifier: Apache-2.0 */
/* `qair grants`: what people said for longer than once, and its end. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/number.h"
#include "tools/ask.h"
#include "tools/command.h"

static int list_grants(bool json) {
        _cleanup_json_ answer = NULL;
        struct json_object *grants;
        int r;

        r = ask_all("qair.Grants", "grants", "grant", &answer);
        if (r)
                return r > 0 ? COMMAND_STATUS_FAILED : error_trace(r);
        if (json)
                return error_trace(ask_print_json(answer));
        json_object_object_get_ex(answer, "grants", &grants);
        printf("%6s %-6s %9s %6s %-15s %-15s %s\n", "GRANT", "ANSWER", "LEFT", "USED", "SOURCE", "TARGET", "SERVICE");
        for (size_t i = 0; i < json_object_array_length(grants); ++i) {
                struct json_object *grant = json_object_array_get_idx(grants, i);
                const char *target = ask_text(grant, "target");
                char left[32];

                printf("%6llu %-6s %9s %6llu %-15s %-15s %s\n", (unsigned long long)ask_number(grant, "grant"),
                       ask_text(grant, "answer"), ask_duration(ask_number(grant, "left_usec"), left),
                       (unsigned long long)ask_number(grant, "used"), ask_text(grant, "source"),
                       target[0] ? target : "(any)", ask_text(grant, "service"));
        }
        return COMMAND_STATUS_DONE;
}

static int tell_revoked(const char *id, struct json_object *answer, int status) {
        if (status != 0) {
                command_complain("grant %s: there is none: 'qair grants' lists them", id);
                return COMMAND_STATUS_FAILED;
        }
        printf("%llu revoked\n", (unsigned long long)ask_number(answer, "revoked"));
        return COMMAND_STATUS_DONE;
}

static int revoke(char **ids, int n_ids, bool json) {
        if (n_ids == 0) {
                command_complain("grants: revoke which? 'qair grants revoke all', or their numbers");
                return COMMAND_STATUS_USAGE;
        }
        for (int i = 0; i < n_ids; ++i) {
                uint64_t id;

                if (strcmp(ids[i], "all") != 0 && number_parse(ids[i], strlen(ids[i]), 1, UINT32_MAX, &id)) {
                        command_complain("grants: '%s' is no number of a grant", ESCAPED(ids[i], strlen(ids[i])));
                        return COMMAND_STATUS_USAGE;
                }
        }
        return error_trace(ask_each("qair.Revoke", ids, n_ids, json, tell_revoked));
}

int command_grants(int argc, char **argv) {
        static const struct option known[] = {
                { "json", no_argument, NULL, 'j' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        bool json = false;
        int option;

        opterr = 0;
        optind = 1;
        while ((option = getopt_long(argc, argv, "h", known, NULL)) >= 0)
                switch (option) {
                case 'j':
                        json = true;
                        break;
                case 'h':
                        printf("Usage: qair grants [--json]\n"
                               "       qair grants revoke [--json] all|ID ...\n"
                               "What people who were asked have allowed, or refused, for longer than once; and its "
                               "end.\n");
                        return COMMAND_STATUS_DONE;
                default:
                        return command_complain_option(option, argv, "grants");
                }
        if (optind == argc)
                return list_grants(json);
        if (strcmp(argv[optind], "revoke") == 0)
                return revoke(argv + optind + 1, argc - optind - 1, json);
        command_complain("grants: '%s' is not understood: see 'qair grants --help'",
                         ESCAPED(argv[optind], strlen(argv[optind])));
        return COMMAND_STATUS_USAGE;
}
