/* SPDX-License-Identifier: Apache-2.0 */
#include "client/vm-options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>

#include "base/log.h"

enum {
        VM_OPTION_BUFFER_SIZE = 256,
        VM_OPTION_NO_FILTER_STDOUT,
        VM_OPTION_NO_FILTER_STDERR,
        VM_OPTION_USE_STDIN_SOCKET,
};

// clang-format off
static const struct option vm_long_options[] = {
        { "buffer-size",                   required_argument, NULL, VM_OPTION_BUFFER_SIZE },
        { "filter-escape-chars-stdout",    no_argument,       NULL, 't' },
        { "filter-escape-chars-stderr",    no_argument,       NULL, 'T' },
        { "no-filter-escape-chars-stdout", no_argument,       NULL, VM_OPTION_NO_FILTER_STDOUT },
        { "no-filter-escape-chars-stderr", no_argument,       NULL, VM_OPTION_NO_FILTER_STDERR },
        { "agent-socket",                  required_argument, NULL, 'a' },
        { "prefix-data",                   required_argument, NULL, 'p' },
        { "use-stdin-socket",              no_argument,       NULL, VM_OPTION_USE_STDIN_SOCKET },
        { "source-qube",                   required_argument, NULL, 's' },
        { "help",                          no_argument,       NULL, 'h' },
        {},
};
// clang-format on

const char *vm_options_usage(void) {
        return "Usage: qrexec-client-vm [OPTION…] TARGET SERVICE[+ARGUMENT] [PROGRAM [PROGRAM-ARGUMENT…]]\n"
               "\n"
               "Call SERVICE in domain TARGET, with standard input and output, or with PROGRAM.\n"
               "TARGET is a domain's name, @default (the policy decides), @dispvm, @dispvm:BASE or @adminvm.\n"
               "\n"
               "  -t, --filter-escape-chars-stdout     make the service's output harmless to a terminal\n"
               "  -T, --filter-escape-chars-stderr     the same for its messages\n"
               "      --no-filter-escape-chars-stdout  not, even if it goes to a terminal\n"
               "      --no-filter-escape-chars-stderr\n"
               "  -p, --prefix-data=TEXT               send TEXT before standard input\n"
               "      --use-stdin-socket               standard input is a socket: use it for output, too\n"
               "  -s, --source-qube=NAME               speak for NAME (relays only)\n"
               "  -a, --agent-socket=PATH              where to ask\n"
               "      --buffer-size=BYTES              room for data on its way\n"
               "  -h, --help                           this text\n"
               "\n"
               "Exit status: the service's if it is not 0, else PROGRAM's; 126: refused; 127: no such service;\n"
               "125: it could not be run; 1: no connection; 2: wrong usage; 255: the connection was lost.\n";
}

static int vm_options_buffer_size(const char *text, size_t *ret_size) {
        unsigned long value;
        char *end;

        errno = 0;
        value = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 0) : ULONG_MAX;
        if (value > INT_MAX || errno != 0 || *end != '\0') {
                log_error("--buffer-size: a number of bytes up to %d is wanted", INT_MAX);
                return VM_OPTIONS_E_INVALID;
        }
        *ret_size = value;
        return 0;
}

/* An option that may be given once. */
static int vm_options_once(const char **option, const char *value) {
        if (*option)
                return VM_OPTIONS_E_USAGE;
        *option = value;
        return 0;
}

static int vm_options_take(VmOptions *options, int option) {
        switch (option) {
        case VM_OPTION_BUFFER_SIZE:
                return vm_options_buffer_size(optarg, &options->buffer_size);
        case 't':
                options->filter_stdout = FILTER_CHOICE_ON;
                return 0;
        case 'T':
                options->filter_stderr = FILTER_CHOICE_ON;
                return 0;
        case VM_OPTION_NO_FILTER_STDOUT:
                options->filter_stdout = FILTER_CHOICE_OFF;
                return 0;
        case VM_OPTION_NO_FILTER_STDERR:
                options->filter_stderr = FILTER_CHOICE_OFF;
                return 0;
        case 'a':
                options->socket_path = optarg;
                return 0;
        case 'p':
                return vm_options_once(&options->prefix, optarg);
        case 's':
                return vm_options_once(&options->source, optarg);
        case VM_OPTION_USE_STDIN_SOCKET:
                if (options->use_stdin_socket)
                        return VM_OPTIONS_E_USAGE;
                options->use_stdin_socket = true;
                return 0;
        case 'h':
                return VM_OPTIONS_E_HELP;
        default:
                return VM_OPTIONS_E_USAGE;
        }
}

int vm_options_parse(int argc, char **argv, VmOptions *ret_options) {
        VmOptions options = {};
        int option;

        optind = 0; /* also where glibc's own state starts anew */
        /* The "+": options end at the first word that is none, so that PROGRAM keeps its own. */
        while ((option = getopt_long(argc, argv, "+tTa:p:s:h", vm_long_options, NULL)) != -1) {
                int r = vm_options_take(&options, option);

                if (r)
                        return r;
        }
        if (argc - optind < 2)
                return VM_OPTIONS_E_USAGE;
        options.target = argv[optind];
        options.service = argv[optind + 1];
        if (argc - optind > 2)
                options.program = argv + optind + 2;
        if (options.use_stdin_socket && options.program)
                return VM_OPTIONS_E_USAGE;

        for (char *c = options.target; *c; ++c)
                if (*c == '$')
                        *c = '@';
        if (!options.source)
                options.source = "";
        *ret_options = options;
        return 0;
}
