/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arguments.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/location.h"
#include "agent/vchan.h"
#include "base/number.h"

/* A year: what the inventory takes at most. */
#define AGENT_STOP_SEC_MAX (365 * 24 * 60 * 60)
#define AGENT_EXIT_USAGE   2

static void usage(void) {
        fprintf(stderr, "Usage: qrexec-agent [OPTION]...\n"
                        "Start the services of one domain when its broker says so.\n"
                        "\n"
                        "      --domain=NAME     the domain (default: $QREXEC_DOMAIN); its link is\n"
                        "                        " LOCATION_LINKS "/NAME/link\n"
                        "      --link=PATH       the broker's socket (default without a domain:\n"
                        "                        " LOCATION_LINK_INSIDE ")\n"
                        "      --shell           allow shell commands, not only services\n"
                        "      --stop-timeout=SEC  when told to stop, end what still runs after that\n"
                        "      --guest=ID        start nothing here: calls are for the domain with this number,\n"
                        "                        behind the qrexec-daemon that has started us\n"
                        "      --debug           log more\n"
                        "  -s, --fork-server-socket=PATTERN\n"
                        "                        where qrexec-fork-server is; %%s is the account\n"
                        "  -S, --no-fork-server  start every program ourselves\n"
                        "  -h, --help            show this text\n"
                        "\n"
                        "For a daemon of Qubes' kind, over vchan (with $VCHAN_DOMAIN, a number, or -a),\n"
                        "or over vsock, as root in a virtual machine:\n"
                        "      --vsock           dial the host, where the domain has `link = vsock:CID`\n"
                        "  -a, --agent-socket=PATH\n"
                        "                        where local clients ask (" VCHAN_AGENT_SOCKET ")\n"
                        "\n"
                        "See qrexec-agent(8).\n");
}

int agent_arguments_parse(int argc, char **argv, AgentArguments *ret_arguments) {
        enum {
                OPTION_DOMAIN = 256,
                OPTION_LINK,
                OPTION_SHELL,
                OPTION_STOP_TIMEOUT,
                OPTION_GUEST,
                OPTION_VSOCK,
                OPTION_DEBUG
        };
        static const struct option options[] = {
                { "domain", required_argument, NULL, OPTION_DOMAIN },
                { "link", required_argument, NULL, OPTION_LINK },
                { "shell", no_argument, NULL, OPTION_SHELL },
                { "stop-timeout", required_argument, NULL, OPTION_STOP_TIMEOUT },
                { "guest", required_argument, NULL, OPTION_GUEST },
                { "vsock", no_argument, NULL, OPTION_VSOCK },
                { "debug", no_argument, NULL, OPTION_DEBUG },
                { "agent-socket", required_argument, NULL, 'a' },
                { "fork-server-socket", required_argument, NULL, 's' },
                { "no-fork-server", no_argument, NULL, 'S' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        AgentArguments arguments = {};
        int option;

        while ((option = getopt_long(argc, argv, "a:s:Sh", options, NULL)) >= 0) {
                switch (option) {
                case OPTION_DOMAIN:
                        arguments.domain = optarg;
                        break;
                case OPTION_LINK:
                        arguments.link = optarg;
                        break;
                case OPTION_SHELL:
                        arguments.shell = true;
                        break;
                case OPTION_STOP_TIMEOUT:
                        if (number_parse(optarg, strlen(optarg), 0, AGENT_STOP_SEC_MAX, &arguments.stop_sec)) {
                                fprintf(stderr, "qrexec-agent: --stop-timeout: a number of seconds is wanted\n");
                                return AGENT_EXIT_USAGE;
                        }
                        break;
                case OPTION_GUEST:
                        if (number_parse(optarg, strlen(optarg), 1, INT_MAX, &arguments.guest)) {
                                fprintf(stderr, "qrexec-agent: --guest: the number of a domain is wanted\n");
                                return AGENT_EXIT_USAGE;
                        }
                        break;
                case OPTION_VSOCK:
                        arguments.vsock = true;
                        break;
                case OPTION_DEBUG:
                        arguments.debug = true;
                        break;
                case 'a':
                        arguments.agent_socket = optarg;
                        break;
                case 's':
                        arguments.fork_server = optarg;
                        break;
                case 'S':
                        arguments.fork_server = "";
                        break;
                default:
                        usage();
                        return AGENT_EXIT_USAGE;
                }
        }
        if (optind < argc) {
                usage();
                return AGENT_EXIT_USAGE;
        }
        if (arguments.vsock && (arguments.domain || arguments.link || arguments.guest > 0)) {
                fprintf(stderr, "qrexec-agent: --vsock has a link of its own: not with --domain, --link or --guest\n");
                return AGENT_EXIT_USAGE;
        }
        *ret_arguments = arguments;
        return 0;
}

bool agent_arguments_are_vchan(const AgentArguments *arguments) {
        return arguments->vsock || (arguments->guest == 0 && !arguments->link && !arguments->domain &&
                                    !getenv("QREXEC_DOMAIN") && (arguments->agent_socket || getenv("VCHAN_DOMAIN")));
}
