/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "supervisor/launch.h"
#include "supervisor/supervisor.h"

#define EXIT_USAGE 2

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qair-supervisor [OPTION]…\n"
                        "Bind the sockets of all domains, start the broker, start and stop agents.\n"
                        "Run by the service manager as root; see qair-supervisor(8).\n"
                        "\n"
                        "  -u, --user           for the sandboxes of an ordinary user, as that user\n"
                        "      --launcher=PATH  have domains started by who listens there (qair-domain.socket)\n"
                        "      --launch         start the one that is asked for on the connection that we were given\n"
                        "  -d, --debug          log what happens inside\n"
                        "  -h, --help           show this help\n");
        return status;
}

int main(int argc, char **argv) {
        enum { OPTION_LAUNCHER = 256, OPTION_LAUNCH };
        static const struct option options[] = {
                { "debug", no_argument, NULL, 'd' },
                { "help", no_argument, NULL, 'h' },
                { "launch", no_argument, NULL, OPTION_LAUNCH },
                { "launcher", required_argument, NULL, OPTION_LAUNCHER },
                { "user", no_argument, NULL, 'u' },
                {},
        };
        static Paths where;
        SupervisorOptions supervisor_options = {
                .paths = {
                        .where = &where,
                        .broker = QAIR_LIBEXECDIR "/qrexecd",
                        .monitor = QAIR_LIBEXECDIR "/qair-monitor",
                        .agent = QAIR_LIBEXECDIR "/qrexec-agent",
                        .daemon = QAIR_SBINDIR "/qrexec-daemon",
                },
                .audit = {
                        .journal = "/run/systemd/journal/socket",
                        .dir = where.audit_dir,
                        .file = "audit.jsonl",
                },
                .account = "qrexec",
        };
        _cleanup_(supervisor_freep) Supervisor *supervisor = NULL;
        bool is_user = false, is_launch = false;
        int option, r;

        if (fd_ensure_standard() < 0)
                return 1;
        log_open("qair-supervisor", false);
        while ((option = getopt_long(argc, argv, "dhu", options, NULL)) >= 0) {
                switch (option) {
                case 'd':
                        log_set_max_level(LOG_LEVEL_DEBUG);
                        break;
                case 'u':
                        is_user = true;
                        break;
                case OPTION_LAUNCHER:
                        supervisor_options.paths.launcher = optarg;
                        break;
                case OPTION_LAUNCH:
                        is_launch = true;
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, EXIT_USAGE);
                }
        }
        if (optind != argc || (is_launch && (is_user || supervisor_options.paths.launcher)))
                return usage(stderr, EXIT_USAGE);
        if (is_user == (geteuid() == 0)) {
                log_error(is_user ? "--user is for ordinary users, and root is none"
                                  : "this has to run as root: it starts domains under their accounts (--user: "
                                    "sandboxes of your own)");
                return 1;
        }
        umask(022);
        paths_host(&where);
        if (is_user) {
                r = paths_user(&where);
                if (r) {
                        log_error("%s", paths_error_text(r));
                        return 1;
                }
                /* Records are the user's own business; in the journal they would be among everybody's. */
                supervisor_options.audit.journal = NULL;
                supervisor_options.account = NULL;
        }

        if (is_launch) {
                if (sd_listen_fds(true) != 1) {
                        log_error("--launch is for the service manager, which gives us a connection");
                        return LAUNCH_STATUS_FAILED;
                }
                return launch_serve(&supervisor_options.paths, SD_LISTEN_FDS_START);
        }
        if (supervisor_new(&supervisor_options, &supervisor) < 0)
                return 1;
        return supervisor_run(supervisor) < 0 ? 1 : 0;
}
