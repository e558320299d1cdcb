/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"
#include "monitor/monitor.h"

#define EXIT_USAGE 2

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qair-monitor --domain=NAME --account=ACCOUNT --uid=UID --service-path=PATH\n"
                        "                    -- AGENT [ARGUMENT]...\n"
                        "Run the agent of a domain in a session of its account, until it ends.\n"
                        "Started by qair-supervisor; see qair-supervisor(8).\n");
        return status;
}

int main(int argc, char **argv) {
        enum { OPTION_DOMAIN = 256, OPTION_ACCOUNT, OPTION_UID, OPTION_SERVICE_PATH };
        static const struct option known[] = {
                { "domain", required_argument, NULL, OPTION_DOMAIN },
                { "account", required_argument, NULL, OPTION_ACCOUNT },
                { "uid", required_argument, NULL, OPTION_UID },
                { "service-path", required_argument, NULL, OPTION_SERVICE_PATH },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        MonitorOptions options = {};
        uint64_t uid = 0;
        int option;

        if (fd_ensure_standard() < 0)
                return MONITOR_EXIT_FAILED;
        log_open("qair-monitor", false);
        while ((option = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
                switch (option) {
                case OPTION_DOMAIN:
                        options.domain = optarg;
                        break;
                case OPTION_ACCOUNT:
                        options.account = optarg;
                        break;
                case OPTION_UID:
                        /* The last is no uid: setresuid(2) would leave ours as it is. */
                        if (number_parse(optarg, strlen(optarg), 1, (uid_t)-2, &uid))
                                return usage(stderr, EXIT_USAGE);
                        break;
                case OPTION_SERVICE_PATH:
                        options.service_path = optarg;
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, EXIT_USAGE);
                }
        }
        options.uid = (uid_t)uid;
        options.command = argv + optind;
        if (!options.domain || !options.account || uid == 0 || !options.service_path || optind == argc)
                return usage(stderr, EXIT_USAGE);
        return monitor_run(&options);
}
