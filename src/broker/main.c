/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"
#include "base/paths.h"
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
                        "  -u, --user             for the sandboxes of the user that it runs as\n"
                        "  -d, --debug            log what happens inside\n"
                        "  -h, --help             show this help\n");
        return status;
}

static int serve(int supervisor_fd, const Paths *where) {
        const ConfigPaths paths = {
                .domains = where->domains_dir,
                .policy_run = where->policy_run_dir,
                .policy_etc = where->policy_dir,
                .policy_legacy = where->legacy_dir,
                .ask = where->ask_file,
                .is_user = where->is_user,
        };
        /* The machine's id is what domains' UUIDs are made from. */
        const char *const readable[] = { where->config_dir, where->rpc_dir, where->run_dir, "/etc/machine-id",
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
        r = broker_new(config, supervisor_fd, where->is_user ? getuid() : 0, &broker);
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
                { "user", no_argument, NULL, 'u' },
                {},
        };
        uint64_t supervisor_fd = 0;
        bool is_user = false;
        Paths where;
        int option, r;

        if (fd_ensure_standard() < 0)
                return 1;
        log_open("qrexecd", true);
        while ((option = getopt_long(argc, argv, "dhu", options, NULL)) >= 0) {
                switch (option) {
                case 's':
                        if (number_parse(optarg, strlen(optarg), 3, INT32_MAX, &supervisor_fd))
                                return usage(stderr, EXIT_USAGE);
                        break;
                case 'd':
                        log_set_max_level(LOG_LEVEL_DEBUG);
                        break;
                case 'u':
                        is_user = true;
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
        paths_host(&where);
        r = is_user ? paths_user(&where) : 0;
        if (r) {
                log_error("%s", paths_error_text(r));
                return 1;
        }
        return serve((int)supervisor_fd, &where) < 0 ? 1 : 0;
}
