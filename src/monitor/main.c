/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"
#include "monitor/monitor.h"

#define EXIT_USAGE 2

/* A year: what comes from the command line times a million fits. */
#define LIMIT_SEC_MAX (365 * 24 * 60 * 60)

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qair-monitor --domain=NAME [OPTION]... -- PROGRAM [ARGUMENT]...\n"
                        "Run the agent of a domain, or a command that starts or stops it, until it ends.\n"
                        "Started by qair-supervisor; see qair-monitor(8).\n"
                        "\n"
                        "      --domain=NAME        the domain, for the log\n"
                        "      --account=ACCOUNT    in a session of this account, and as it\n"
                        "      --uid=UID            which that account has to have still\n"
                        "      --service-path=PATH  PROGRAM is an agent, and looks for services here\n"
                        "      --sandbox=DIR        run it in a sandbox, with this run directory\n"
                        "      --config-path=PATH   and these folders of services' configuration\n"
                        "      --home=DIR           and this home, where there is no account\n"
                        "      --time-limit=SEC     end it after so long\n"
                        "      --report-fd=FD       send our exit status there\n"
                        "  -h, --help               show this help\n");
        return status;
}

/* To who is not our parent, and therefore does not see it. That may be gone: it makes no difference then. */
static void report(int fd, int status) {
        uint32_t number = (uint32_t)status;

        (void)!send(fd, &number, sizeof(number), MSG_NOSIGNAL);
}

int main(int argc, char **argv) {
        enum {
                OPTION_DOMAIN = 256,
                OPTION_ACCOUNT,
                OPTION_UID,
                OPTION_SERVICE_PATH,
                OPTION_TIME_LIMIT,
                OPTION_SANDBOX,
                OPTION_CONFIG_PATH,
                OPTION_HOME,
                OPTION_REPORT_FD
        };
        static const struct option known[] = {
                { "domain", required_argument, NULL, OPTION_DOMAIN },
                { "account", required_argument, NULL, OPTION_ACCOUNT },
                { "uid", required_argument, NULL, OPTION_UID },
                { "service-path", required_argument, NULL, OPTION_SERVICE_PATH },
                { "sandbox", required_argument, NULL, OPTION_SANDBOX },
                { "config-path", required_argument, NULL, OPTION_CONFIG_PATH },
                { "home", required_argument, NULL, OPTION_HOME },
                { "report-fd", required_argument, NULL, OPTION_REPORT_FD },
                { "time-limit", required_argument, NULL, OPTION_TIME_LIMIT },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        MonitorOptions options = {};
        uint64_t uid = 0, limit = 0, report_fd = 0;
        int option, status;

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
                case OPTION_SANDBOX:
                        options.sandbox = optarg;
                        break;
                case OPTION_CONFIG_PATH:
                        options.config_path = optarg;
                        break;
                case OPTION_HOME:
                        options.home = optarg;
                        break;
                case OPTION_REPORT_FD:
                        if (number_parse(optarg, strlen(optarg), 3, INT_MAX, &report_fd))
                                return usage(stderr, EXIT_USAGE);
                        break;
                case OPTION_TIME_LIMIT:
                        if (number_parse(optarg, strlen(optarg), 1, LIMIT_SEC_MAX, &limit))
                                return usage(stderr, EXIT_USAGE);
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, EXIT_USAGE);
                }
        }
        options.uid = (uid_t)uid;
        options.command = argv + optind;
        options.limit_usec = limit * USEC_PER_SEC;
        if (!options.domain || !options.account != (uid == 0) || optind == argc ||
            (options.sandbox && (!options.account == !options.home || !options.service_path || !options.config_path)))
                return usage(stderr, EXIT_USAGE);
        if (report_fd > 0 && fd_set_cloexec((int)report_fd, true) < 0)
                return MONITOR_EXIT_FAILED;
        status = monitor_run(&options);
        if (report_fd > 0)
                report((int)report_fd, status);
        return status;
}
