/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "supervisor/supervisor.h"

#define EXIT_USAGE 2

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qair-supervisor [OPTION]…\n"
                        "Bind the sockets of all domains, start the broker, start and stop agents.\n"
                        "Run by the service manager as root; see qair-supervisor(8).\n"
                        "\n"
                        "  -d, --debug   log what happens inside\n"
                        "  -h, --help    show this help\n");
        return status;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "debug", no_argument, NULL, 'd' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        static const SupervisorOptions supervisor_options = {
                .paths = {
                        .run_dir = "/run/qubes",
                        .config_path = "/usr/local/etc/qubes/rpc-config:" QAIR_CONFDIR "/rpc-config",
                        .broker = QAIR_LIBEXECDIR "/qrexecd",
                        .monitor = QAIR_LIBEXECDIR "/qair-monitor",
                        .agent = QAIR_LIBEXECDIR "/qrexec-agent",
                },
                .domains_dir = QAIR_CONFDIR "/domains.d",
                .audit = {
                        .journal = "/run/systemd/journal/socket",
                        .dir = "/var/log/qubes",
                        .file = "audit.jsonl",
                },
                .account = "qrexec",
        };
        _cleanup_(supervisor_freep) Supervisor *supervisor = NULL;
        int option;

        if (fd_ensure_standard() < 0)
                return 1;
        log_open("qair-supervisor", false);
        while ((option = getopt_long(argc, argv, "dh", options, NULL)) >= 0) {
                switch (option) {
                case 'd':
                        log_set_max_level(LOG_LEVEL_DEBUG);
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, EXIT_USAGE);
                }
        }
        if (optind != argc)
                return usage(stderr, EXIT_USAGE);
        if (geteuid() != 0) {
                log_error("this has to run as root: it starts domains under their accounts");
                return 1;
        }
        umask(022);

        if (supervisor_new(&supervisor_options, &supervisor) < 0)
                return 1;
        return supervisor_run(supervisor) < 0 ? 1 : 0;
}
