/* SPDX-License-Identifier: Apache-2.0 */
#include "client/host-options.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "base/name.h"
#include "base/number.h"
#include "client/daemon.h"

#define HOST_SOCKET_DIR "/run/qubes"
/** How long the callee may take to be there (protocol specification, 1.5). */
#define HOST_WAIT_SECONDS 10

enum {
        HOST_OPTION_USE_STDIN_SOCKET = 256,
        HOST_OPTION_SOCKET_DIR,
        HOST_OPTION_HOST_CALL,
};

// clang-format off
static const struct option host_long_options[] = {
        { "no-exit-code",     no_argument,       NULL, 'E' },
        { "prefix-data",      required_argument, NULL, 'p' },
        { "use-stdin-socket", no_argument,       NULL, HOST_OPTION_USE_STDIN_SOCKET },
        { "socket-dir",       required_argument, NULL, HOST_OPTION_SOCKET_DIR },
        { "host-call-program", required_argument, NULL, HOST_OPTION_HOST_CALL },
        { "help",             no_argument,       NULL, 'h' },
        {},
};
// clang-format on

const char *host_options_usage(void) {
        return "Usage: qrexec-client [OPTION…] -d TARGET [-l LOCAL-COMMAND | -c CALLER | -e] COMMAND\n"
               "\n"
               "Run COMMAND in domain TARGET, with standard input and output, or with LOCAL-COMMAND; for root on "
               "dom0.\n"
               "COMMAND is USER:QUBESRPC SERVICE+ARGUMENT SOURCE, or USER:SHELL-COMMAND; DEFAULT as USER is the\n"
               "domain's own account. For dom0: DEFAULT:QUBESRPC SERVICE+ARGUMENT dom0 name dom0.\n"
               "\n"
               "  -d TARGET              the domain's name, or uuid:UUID; dom0: a service of the host itself\n"
               "  -l LOCAL-COMMAND       run this here, with bash, or as a service (QUBESRPC …), and connect it "
               "instead\n"
               "  -c IDENT,NAME,ID       connect a caller that waits at the daemon of domain NAME with this ID\n"
               "  -W                     with -c: wait until that call is over\n"
               "  -e                     do not wait for the command to end\n"
               "  -t                     make the output harmless to a terminal\n"
               "  -T                     the same for messages\n"
               "  -w SECONDS             wait so long for the domain (default 10, 0: without limit)\n"
               "  -E, --no-exit-code     exit 0 whatever the command's status\n"
               "  -k                     afterwards kill the domain\n"
               "  -p, --prefix-data=TEXT send TEXT before standard input\n"
               "      --use-stdin-socket standard input is a socket: use it for output, too\n"
               "      --socket-dir=DIR   where the domains' sockets are (default /run/qubes)\n"
               "      --host-call-program=PATH   what runs services of the host\n"
               "  -h, --help             this text\n"
               "\n"
               "Exit status: the command's if it is not 0, else LOCAL-COMMAND's; 125: no connection; 137: -c failed; "
               "1: usage.\n";
}

static int host_options_wait(const char *text, unsigned *ret_seconds) {
        uint64_t seconds;

        if (number_parse(text, strlen(text), 0, INT_MAX, &seconds)) {
                log_error("-w: a number of seconds is wanted");
                return HOST_OPTIONS_E_INVALID;
        }
        *ret_seconds = (unsigned)seconds;
        return 0;
}

/* IDENT,SRCNAME,SRCID (7.4). The name is for people: the id says which daemon it is. */
static int host_options_caller(const char *text, HostCaller *caller) {
        const char *name = strchr(text, ','), *id = name ? strchr(name + 1, ',') : NULL;
        HostCaller read = {};
        uint64_t domain;
        size_t n_name;

        if (caller->domain != 0) {
                log_error("-c: one caller is enough");
                return HOST_OPTIONS_E_INVALID;
        }
        if (!id || name - text >= IDENT_SIZE || number_parse(id + 1, strlen(id + 1), 1, INT_MAX, &domain)) {
                log_error("-c: IDENT,NAME,ID is wanted: at most %d characters, a domain's name, a number above 0",
                          IDENT_SIZE - 1);
                return HOST_OPTIONS_E_INVALID;
        }
        n_name = (size_t)(id - name - 1);
        if (n_name == 0 || (n_name == strlen(DOM0_NAME) && memcmp(name + 1, DOM0_NAME, n_name) == 0) ||
            (n_name == strlen("@adminvm") && memcmp(name + 1, "@adminvm", n_name) == 0)) {
                log_error("-c: the host does not wait for anybody: the name of a domain is wanted");
                return HOST_OPTIONS_E_INVALID;
        }
        memcpy(read.ident, text, (size_t)(name - text));
        read.domain = (uint32_t)domain;
        *caller = read;
        return 0;
}

static int host_options_take(HostOptions *options, int option) {
        switch (option) {
        case 'd':
                options->target = optarg;
                return 0;
        case 'l':
                options->local_command = optarg;
                return 0;
        case 'e':
                options->just_exec = true;
                return 0;
        case 't':
                options->filter_stdout = true;
                return 0;
        case 'T':
                options->filter_stderr = true;
                return 0;
        case 'w':
                return host_options_wait(optarg, &options->wait_seconds);
        case 'E':
                options->ignore_status = true;
                return 0;
        case 'p':
                if (options->prefix)
                        return HOST_OPTIONS_E_USAGE;
                options->prefix = optarg;
                return 0;
        case HOST_OPTION_USE_STDIN_SOCKET:
                options->use_stdin_socket = true;
                return 0;
        case HOST_OPTION_SOCKET_DIR:
                options->socket_dir = optarg;
                return 0;
        case HOST_OPTION_HOST_CALL:
                options->host_call = optarg;
                return 0;
        case 'c':
                return host_options_caller(optarg, &options->caller);
        case 'W':
                options->wait_for_end = true;
                return 0;
        case 'k':
                options->kill = true;
                return 0;
        default:
                return HOST_OPTIONS_E_HELP;
        }
}

static bool host_target_is_host(const char *target) {
        return strcmp(target, "dom0") == 0 || strcmp(target, "@adminvm") == 0 ||
               strcmp(target, "uuid:00000000-0000-0000-0000-000000000000") == 0;
}

/* Return: what is wrong with all of them together, or NULL. */
static const char *host_options_check(const HostOptions *options) {
        if (!options->target)
                return "-d TARGET is missing";
        if (options->target[0] == '\0' || strchr(options->target, '/'))
                return "-d: this is not the name of a domain";
        if (!options->command)
                return "COMMAND is missing";
        if (strlen(options->command) > DAEMON_COMMAND_MAX)
                return "COMMAND is too long";
        if (options->just_exec + (options->local_command != NULL) + (options->caller.domain != 0) > 1)
                return "-e, -l and -c exclude each other";
        if (options->use_stdin_socket && options->local_command)
                return "--use-stdin-socket and -l exclude each other";
        return NULL;
}

int host_options_parse(int argc, char **argv, HostOptions *ret_options) {
        HostOptions options = {
                .socket_dir = HOST_SOCKET_DIR,
                .host_call = QAIR_HOST_CALL,
                .wait_seconds = HOST_WAIT_SECONDS,
        };
        const char *wrong;
        int option;

        optind = 0; /* also where glibc's own state starts anew */
        while ((option = getopt_long(argc, argv, "+d:l:etTw:Ep:c:Wkh", host_long_options, NULL)) != -1) {
                int r = host_options_take(&options, option);

                if (r)
                        return r;
        }
        if (argc - optind == 1)
                options.command = argv[optind];
        wrong = argc - optind > 1 ? "COMMAND is one argument: quote it" : host_options_check(&options);
        if (wrong) {
                log_error("%s; see --help", wrong);
                return HOST_OPTIONS_E_INVALID;
        }
        options.target_is_host = host_target_is_host(options.target);
        *ret_options = options;
        return 0;
}
