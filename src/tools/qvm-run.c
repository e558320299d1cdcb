/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qvm-run: on the host, run a command in a domain, as on Qubes OS. It becomes qrexec-client(1), with the service that fits:
 *
 *   qvm-run VM WORD WORD…       qubes.VMExec      the words are encoded; no shell sees them
 *   qvm-run VM 'TEXT'           qubes.VMShell     the text is the shell's first line
 *   qvm-run --service VM NAME   NAME
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "tools/vmexec.h"

enum {
        STATUS_DONE = 0,
        STATUS_USAGE = 2,
        STATUS_FAILED = 125, /* as qrexec-client has it */
};

/** What ends the shell with the status of what it was given; a comment at its end cannot hide the rest. */
#define SHELL_LINE "{ %s\n}; exit\n"

static bool arg_pass_io;
static bool arg_gui;
static bool arg_service;
static bool arg_no_shell;
static const char *arg_user = "DEFAULT";
static const char *arg_local_command;
static int arg_filter = -1; /* -1: where it goes to a terminal */

static void usage(FILE *out) {
        fprintf(out, "Usage: qvm-run [OPTION]... DOMAIN COMMAND [ARGUMENT]...\n"
                     "Run a command in a domain, from the host. One word is a command for its shell; several are a\n"
                     "program and its arguments, which no shell gets to see.\n"
                     "\n"
                     "  -p, --pass-io              with our standard input, output and error, not without\n"
                     "  -u, --user=USER            as this account (default: the domain's own)\n"
                     "      --service              COMMAND is the name of a service, with its argument\n"
                     "      --no-shell             one word is a program, too\n"
                     "      --gui, --no-gui        wait for the session first, or not (default)\n"
                     "      --localcmd=COMMAND     with this local command in place of our own input and output\n"
                     "      --filter-escape-chars, --no-filter-escape-chars\n"
                     "                             make output harmless to a terminal (default: if it is one)\n"
                     "  -q, --quiet, -v, --verbose, --autostart\n"
                     "                             accepted; they change nothing\n"
                     "  -h, --help                 show this text\n"
                     "\n"
                     "Exit status: the command's; 125: it could not be run; 127: it is not there. See qvm-run(1).\n");
}

/* Return: 0, or what main() returns; -1: done */
static int parse_arguments(int argc, char **argv) {
        enum {
                OPTION_SERVICE = 256,
                OPTION_NO_SHELL,
                OPTION_GUI,
                OPTION_NO_GUI,
                OPTION_LOCAL,
                OPTION_FILTER,
                OPTION_RAW
        };
        static const struct option options[] = {
                { "pass-io", no_argument, NULL, 'p' },
                { "user", required_argument, NULL, 'u' },
                { "service", no_argument, NULL, OPTION_SERVICE },
                { "no-shell", no_argument, NULL, OPTION_NO_SHELL },
                { "gui", no_argument, NULL, OPTION_GUI },
                { "no-gui", no_argument, NULL, OPTION_NO_GUI },
                { "localcmd", required_argument, NULL, OPTION_LOCAL },
                { "filter-escape-chars", no_argument, NULL, OPTION_FILTER },
                { "no-filter-escape-chars", no_argument, NULL, OPTION_RAW },
                { "autostart", no_argument, NULL, 'a' },
                { "quiet", no_argument, NULL, 'q' },
                { "verbose", no_argument, NULL, 'v' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int option;

        /* The "+": options end at the domain, so that the command keeps its own. */
        while ((option = getopt_long(argc, argv, "+pu:aqvh", options, NULL)) >= 0) {
                switch (option) {
                case 'p':
                        arg_pass_io = true;
                        break;
                case 'u':
                        arg_user = optarg;
                        break;
                case OPTION_SERVICE:
                        arg_service = true;
                        break;
                case OPTION_NO_SHELL:
                        arg_no_shell = true;
                        break;
                case OPTION_GUI:
                case OPTION_NO_GUI:
                        arg_gui = option == OPTION_GUI;
                        break;
                case OPTION_LOCAL:
                        arg_local_command = optarg;
                        break;
                case OPTION_FILTER:
                case OPTION_RAW:
                        arg_filter = option == OPTION_FILTER;
                        break;
                case 'a':
                case 'q':
                case 'v':
                        break;
                case 'h':
                        usage(stdout);
                        return fflush(stdout) == 0 ? -1 : STATUS_FAILED;
                default:
                        usage(stderr);
                        return STATUS_USAGE;
                }
        }
        if (argc - optind < 2 || (arg_service && argc - optind > 2)) {
                usage(stderr);
                return STATUS_USAGE;
        }
        return 0;
}

/* A user may not say more than who it is: what follows its colon is ours. */
static bool user_is_valid(const char *user) {
        AccountName account;

        return strcmp(user, "DEFAULT") == 0 || account_name_parse(user, strlen(user), &account) == 0;
}

/* The service with its argument, and what goes to its standard input first. Return: 0 or a status (said) */
static int choose_service(char *const *words, char **ret_service, char **ret_prefix) {
        _cleanup_free_ char *argument = NULL;
        size_t n_name;
        int r;

        if (arg_service) {
                *ret_service = strdup(words[0]);
                if (!*ret_service)
                        return STATUS_FAILED;
                r = service_descriptor_parse(words[0], strlen(words[0]), *ret_service, &n_name);
                if (r || strcmp(*ret_service, words[0]) != 0) {
                        log_error("\"%s\" is no name of a service", ESCAPED(words[0], strlen(words[0])));
                        return STATUS_USAGE;
                }
                return 0;
        }
        if (!words[1] && !arg_no_shell) {
                *ret_service = strdup(arg_gui ? "qubes.VMShell+WaitForSession" : "qubes.VMShell");
                return *ret_service && asprintf(ret_prefix, SHELL_LINE, words[0]) >= 0 ? 0 : STATUS_FAILED;
        }
        r = vmexec_encode(words, &argument);
        if (r) {
                if (r > 0)
                        log_error("the command %s", vmexec_error_text(r));
                return r > 0 ? STATUS_USAGE : STATUS_FAILED;
        }
        r = asprintf(ret_service, "qubes.VMExec%s+%s", arg_gui ? "GUI" : "", argument);
        if (r < 0)
                return STATUS_FAILED;
        if (r > SERVICE_DESCRIPTOR_MAX) {
                log_error(
                        "the command is too long: %d characters as the argument of a service, of which there can be %d",
                        r, SERVICE_DESCRIPTOR_MAX);
                return STATUS_USAGE;
        }
        return 0;
}

/* Without --pass-io nothing is given and nothing is shown, as on Qubes OS. */
static int close_streams(void) {
        _cleanup_fd_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
                return error_origin(-errno);
        return 0;
}

/* Return: what main() returns */
static int run(const char *domain, char *const *words) {
        _cleanup_free_ char *service = NULL, *prefix = NULL, *command = NULL;
        const char *arguments[12] = { "qrexec-client", "-d", domain };
        size_t n = 3;
        int r;

        r = choose_service(words, &service, &prefix);
        if (r)
                return r;
        if (asprintf(&command, "%s:QUBESRPC %s " DOM0_NAME, arg_user, service) < 0) {
                command = NULL;
                return STATUS_FAILED;
        }
        if (prefix) {
                arguments[n++] = "-p";
                arguments[n++] = prefix;
        }
        if (arg_filter == 1 || (arg_filter < 0 && isatty(STDOUT_FILENO)))
                arguments[n++] = "-t";
        if (arg_filter == 1 || (arg_filter < 0 && isatty(STDERR_FILENO)))
                arguments[n++] = "-T";
        if (arg_local_command) {
                arguments[n++] = "-l";
                arguments[n++] = arg_local_command;
        }
        arguments[n++] = command;
        arguments[n] = NULL;

        if (!arg_pass_io && !arg_local_command && close_streams() < 0)
                return STATUS_FAILED;
        (void)execv(QAIR_HOST_CLIENT, (char *const *)arguments);
        log_error("cannot run %s: %s", QAIR_HOST_CLIENT, strerror(errno));
        return STATUS_FAILED;
}

int main(int argc, char **argv) {
        DomainName domain;
        int r;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("qvm-run", false);
        r = parse_arguments(argc, argv);
        if (r)
                return r < 0 ? STATUS_DONE : r;
        r = domain_name_parse(argv[optind], strlen(argv[optind]), &domain);
        if (r) {
                log_error("the name of the domain, \"%s\", %s", ESCAPED(argv[optind], strlen(argv[optind])),
                          name_error_text(r));
                return STATUS_USAGE;
        }
        if (!user_is_valid(arg_user)) {
                log_error("\"%s\" is no name of an account", ESCAPED(arg_user, strlen(arg_user)));
                return STATUS_USAGE;
        }
        return run(domain.text, argv + optind + 1);
}
