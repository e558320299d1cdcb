/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-agent(8): starts services of one domain for the broker. Libc alone: there is one of these per domain.
 */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/location.h"
#include "agent/lookup.h"
#include "agent/servicelog.h"
#include "agent/vchan.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "base/number.h"
#include "base/socket.h"

#define AGENT_LINK_DIRECTORY "/run/qubes/domains"
/** Where a sandbox or container finds its own run directory mounted. */
#define AGENT_LINK_SANDBOX "/run/qubes/link"

/* A year: what the inventory takes at most. */
#define AGENT_STOP_SEC_MAX (365 * 24 * 60 * 60)

enum {
        EXIT_USAGE = 2,
        EXIT_NO_STANDARD_FDS = 125, /* protocol specification, 7.1 */
};

static const char *arg_domain;
static const char *arg_link;
static const char *arg_agent_socket;
static const char *arg_fork_server; /* a pattern; "": none */
static bool arg_shell;
static uint64_t arg_stop_sec; /* 0: no limit */
static bool arg_debug;

static void usage(void) {
        fprintf(stderr, "Usage: qrexec-agent [OPTION]...\n"
                        "Start the services of one domain when its broker says so.\n"
                        "\n"
                        "      --domain=NAME     the domain (default: $QREXEC_DOMAIN); its link is\n"
                        "                        " AGENT_LINK_DIRECTORY "/NAME/link\n"
                        "      --link=PATH       the broker's socket (default without a domain:\n"
                        "                        " AGENT_LINK_SANDBOX ")\n"
                        "      --shell           allow shell commands, not only services\n"
                        "      --stop-timeout=SEC\n"
                        "                        when told to stop, end calls that still run after that\n"
                        "      --debug           log more\n"
                        "  -s, --fork-server-socket=PATTERN\n"
                        "                        where qrexec-fork-server is; %%s is the account\n"
                        "  -S, --no-fork-server  start every program ourselves\n"
                        "  -h, --help            show this text\n"
                        "\n"
                        "With $VCHAN_DOMAIN (a number) or -a, for a daemon that dials over vchan:\n"
                        "  -a, --agent-socket=PATH\n"
                        "                        the socket of local clients (default:\n"
                        "                        " VCHAN_AGENT_SOCKET ")\n"
                        "\n"
                        "See qrexec-agent(8).\n");
}

/* Return: 0, or what main() returns. */
static int parse_arguments(int argc, char **argv) {
        enum { OPTION_DOMAIN = 256, OPTION_LINK, OPTION_SHELL, OPTION_STOP_TIMEOUT, OPTION_DEBUG };
        static const struct option options[] = {
                { "domain", required_argument, NULL, OPTION_DOMAIN },
                { "link", required_argument, NULL, OPTION_LINK },
                { "shell", no_argument, NULL, OPTION_SHELL },
                { "stop-timeout", required_argument, NULL, OPTION_STOP_TIMEOUT },
                { "debug", no_argument, NULL, OPTION_DEBUG },
                { "agent-socket", required_argument, NULL, 'a' },
                { "fork-server-socket", required_argument, NULL, 's' },
                { "no-fork-server", no_argument, NULL, 'S' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "a:s:Sh", options, NULL)) >= 0) {
                switch (option) {
                case OPTION_DOMAIN:
                        arg_domain = optarg;
                        break;
                case OPTION_LINK:
                        arg_link = optarg;
                        break;
                case OPTION_SHELL:
                        arg_shell = true;
                        break;
                case OPTION_STOP_TIMEOUT:
                        if (number_parse(optarg, strlen(optarg), 0, AGENT_STOP_SEC_MAX, &arg_stop_sec)) {
                                fprintf(stderr, "qrexec-agent: --stop-timeout: a number of seconds is wanted\n");
                                return EXIT_USAGE;
                        }
                        break;
                case OPTION_DEBUG:
                        arg_debug = true;
                        break;
                case 'a':
                        arg_agent_socket = optarg;
                        break;
                case 's':
                        arg_fork_server = optarg;
                        break;
                case 'S':
                        arg_fork_server = "";
                        break;
                default:
                        usage();
                        return EXIT_USAGE;
                }
        }
        if (optind < argc) {
                usage();
                return EXIT_USAGE;
        }
        return 0;
}

/* Where the broker is. Return: a path, NULL if there is none that could be used (said). */
static const char *find_link(char **buffer) {
        struct sockaddr_un address;
        socklen_t n_address;
        DomainName name;
        int r;

        if (!arg_domain)
                arg_domain = getenv("QREXEC_DOMAIN");
        if (!arg_link && !arg_domain)
                arg_link = AGENT_LINK_SANDBOX;
        if (!arg_link) {
                r = domain_name_parse(arg_domain, strlen(arg_domain), &name);
                if (r) {
                        log_error("the name of the domain, \"%s\", %s", ESCAPED(arg_domain, strlen(arg_domain)),
                                  name_error_text(r));
                        return NULL;
                }
                if (asprintf(buffer, AGENT_LINK_DIRECTORY "/%s/link", name.text) < 0) {
                        *buffer = NULL;
                        return NULL;
                }
                arg_link = *buffer;
        }
        if (socket_address(arg_link, &address, &n_address)) {
                log_error("%s: too long for a socket's path", ESCAPED(arg_link, strlen(arg_link)));
                return NULL;
        }
        return arg_link;
}

/* The account that we are. The supervisor says it; by hand, or in a container, the system is asked. */
static const char *find_account(void) {
        const char *account = getenv("USER");
        struct passwd *entry;

        if (account && *account)
                return account;
        entry = getpwuid(geteuid());
        return entry ? entry->pw_name : NULL;
}

static const char *environment_or(const char *variable, const char *otherwise) {
        const char *value = getenv(variable);

        return value && *value ? value : otherwise;
}

/* Upstream's agent has no words for a link of ours: where they were not used, its own decide. */
static bool is_vchan(void) {
        return !arg_link && !arg_domain && !getenv("QREXEC_DOMAIN") && (arg_agent_socket || getenv("VCHAN_DOMAIN"));
}

/* Return: what main() returns */
static int run_local(const ServiceSettings *settings, const char *link_path, const char *notify) {
        Agent *agent = NULL;
        int r;

        r = agent_new(settings, link_path, arg_stop_sec * USEC_PER_SEC, notify, &agent);
        if (!r)
                r = agent_run(agent);
        agent = agent_free(agent);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The other end is a host that may have anything done here; where programs begin is as upstream has it. */
static int run_vchan(ServiceSettings *settings, const char *notify) {
        const char *socket_path = arg_agent_socket ? arg_agent_socket : VCHAN_AGENT_SOCKET;
        struct sockaddr_un address;
        VchanAgent *agent = NULL;
        socklen_t n_address;
        VchanPlace place;
        int r;

        if (vchan_place_init(getenv("VCHAN_SOCKET_DIR"), getenv("VCHAN_DOMAIN"), &place)) {
                log_error("VCHAN_DOMAIN is no domain's id: a decimal number is wanted");
                return EXIT_FAILURE;
        }
        if (socket_address(socket_path, &address, &n_address)) {
                log_error("%s: too long for a socket's path", ESCAPED(socket_path, strlen(socket_path)));
                return EXIT_FAILURE;
        }
        settings->shell = true;
        settings->home = NULL;
        r = vchan_agent_new(settings, &place, socket_path, notify, &agent);
        if (!r)
                r = vchan_agent_run(agent);
        agent = vchan_agent_free(agent);
        return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(void) {
        _cleanup_free_ char *link_buffer = NULL, *notify = NULL, *account = NULL, *fork_server = NULL;
        ServiceSettings settings = { .shell = arg_shell };
        sigset_t signals;
        struct rlimit files, more_files;
        const char *link_path = NULL;
        bool vchan = is_vchan();

        if (geteuid() == 0) {
                log_error("will not run as root: an agent runs as the account of its domain (root in a container or a "
                          "virtual machine, with sessions for its accounts, is not supported yet)");
                return EXIT_FAILURE;
        }
        if (!vchan)
                link_path = find_link(&link_buffer);
        if (!vchan && !link_path)
                return EXIT_FAILURE;
        account = find_account() ? strdup(find_account()) : NULL;
        if (!account) {
                log_error("the account with uid %u has no name: set USER", geteuid());
                return EXIT_FAILURE;
        }

        /* Services must not speak to our service manager in our name. */
        if (getenv("NOTIFY_SOCKET"))
                notify = strdup(getenv("NOTIFY_SOCKET"));
        (void)unsetenv("NOTIFY_SOCKET");

        /* A descriptor for every call; services get back the limit that programs expect (select(2)). */
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                more_files = (struct rlimit){ .rlim_cur = files.rlim_max, .rlim_max = files.rlim_max };
                (void)setrlimit(RLIMIT_NOFILE, &more_files);
                settings.files = &files;
        }

        if (!arg_fork_server || *arg_fork_server)
                fork_server = location_fork_server(arg_fork_server, account);

        settings.account = account;
        settings.fork_server = fork_server;
        settings.shell_program = "/bin/sh";
        settings.home = getenv("HOME");
        settings.service_path = environment_or("QREXEC_SERVICE_PATH", LOOKUP_SERVICE_PATH);
        settings.config_path = environment_or("QUBES_RPC_CONFIG_PATH", LOOKUP_CONFIG_PATH);
        settings.journal = SERVICELOG_JOURNAL;
        settings.syslog = SERVICELOG_SYSLOG;
        settings.environment = environ;

        /* What we inherited, and the one that agent and handlers ignore for themselves. */
        spawn_find_signals(&signals);
        sigaddset(&signals, SIGPIPE);
        settings.signals = &signals;

        return vchan ? run_vchan(&settings, notify) : run_local(&settings, link_path, notify);
}

int main(int argc, char **argv) {
        int r;

        if (fd_ensure_standard() < 0)
                return EXIT_NO_STANDARD_FDS;
        log_open("qrexec-agent", true);
        r = parse_arguments(argc, argv);
        if (r)
                return r;
        if (arg_debug)
                log_set_max_level(LOG_LEVEL_DEBUG);
        return run();
}
