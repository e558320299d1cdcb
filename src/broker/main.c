/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/sandbox.h"

#define EXIT_USAGE 2

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qrexecd --supervisor-fd=N [OPTION]…\n"
                        "Decide about calls between domains and connect their ends.\n"
                        "Started by qair-supervisor; see qrexecd(8).\n"
                        "\n"
                        "      --supervisor-fd=N  socket pair to the supervisor\n"
                        "  -d, --debug            log what happens inside\n"
                        "  -h, --help             show this help\n");
        return status;
}

static int serve(int supervisor_fd) {
        static const ConfigPaths paths = {
                .domains = QAIR_CONFDIR "/domains.d",
                .policy_run = "/run/qubes/policy.d",
                .policy_etc = QAIR_CONFDIR "/policy.d",
                .policy_legacy = QAIR_RPCDIR "/policy",
                .ask = QAIR_CONFDIR "/ask.conf",
        };
        /* The machine's id is what domains' UUIDs are made from. */
        static const char *const readable[] = { QAIR_CONFDIR, QAIR_RPCDIR, "/run/qubes", "/etc/machine-id",
                                                "/dev/null" };
        _cleanup_(config_freep) Config *config = NULL;
        Broker *broker;
        int r;

        /* Confined before a byte of anything is read. */
        r = sandbox_enter(readable, ARRAY_SIZE(readable));
        if (r < 0)
                return r;
        r = config_new(&paths, &config);
        if (r < 0)
                return r;
        r = broker_new(config, supervisor_fd, &broker);
        if (r < 0)
                return r;
        r = broker_run(broker);
        broker_free(broker);
        return r;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "supervisor-fd", required_argument, NULL, 's' },
                { "debug", no_argument, NULL, 'd' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        uint64_t supervisor_fd = 0;
        int option;

        if (fd_ensure_standard() < 0)
                return 1;
        log_open("qrexecd", true);
        while ((option = getopt_long(argc, argv, "dh", options, NULL)) >= 0) {
                switch (option) {
                case 's':
                        if (number_parse(optarg, strlen(optarg), 3, INT32_MAX, &supervisor_fd))
                                return usage(stderr, EXIT_USAGE);
                        break;
                case 'd':
                        log_set_max_level(LOG_LEVEL_DEBUG);
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, EXIT_USAGE);
                }
        }
        if (optind != argc || supervisor_fd == 0)
                return usage(stderr, EXIT_USAGE);
        if (geteuid() == 0) {
                log_error("this must not run as root: qair-supervisor starts it under its own account");
                return 1;
        }
        if (fd_set_cloexec((int)supervisor_fd, true) < 0) {
                log_error("descriptor %llu is not open: qair-supervisor passes it", (unsigned long long)supervisor_fd);
                return 1;
        }
        return serve((int)supervisor_fd) < 0 ? 1 : 0;
}
