/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split-gpg2-client: listens where gpg looks for its gpg-agent, and makes each connection a call of qubes.Gpg2 in the domain
 * that has the keys. gpg itself, its public keys and its configuration stay here.
 */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/exchange.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "gpg2/assuan.h"
#include "gpg2/rcfile.h"
#include "ssh-forward/forward.h"
#include "ssh-forward/listener.h"

#define SERVICE     "qubes.Gpg2"
#define SYSTEM_FILE "/etc/split-gpg2-rc"
#define USER_FILE   "split-gpg2-rc"

#define STATUS_FAILED 1

static const char *arg_listen;
static VaultName arg_target;

static void help(void) {
        printf("Usage: split-gpg2-client [OPTION ...]\n"
               "\n"
               "Be the gpg-agent of this account: each connection is a call of qubes.Gpg2.\n"
               "\n"
               "  --listen PATH    the socket (default: gpgconf --list-dirs agent-socket)\n"
               "  --target DOMAIN  who has the keys (default: " RCFILE_VARIABLE " in\n"
               "                   ~/.config/split-gpg2-rc or /etc/split-gpg2-rc, else @default)\n"
               "\n"
               "gpg must not start an agent of its own: put no-autostart into ~/.gnupg/gpg.conf.\n"
               "See split-gpg2-client(1).\n");
}

/* Return: 0, -1: help was wanted, or STATUS_FAILED */
static int parse_options(int argc, char **argv) {
        static const struct option known[] = {
                { "listen", required_argument, NULL, 'l' },
                { "target", required_argument, NULL, 't' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "+h", known, NULL)) != -1)
                switch (option) {
                case 'l':
                        arg_listen = optarg;
                        break;
                case 't':
                        if (rcfile_domain_parse(optarg, strlen(optarg), &arg_target)) {
                                log_error("--target: \"%s\" is no name of a domain", ESCAPED(optarg, strlen(optarg)));
                                return STATUS_FAILED;
                        }
                        break;
                case 'h':
                        return -1;
                default:
                        return STATUS_FAILED;
                }
        if (optind == argc)
                return 0;
        log_error("\"%s\" is no option: split-gpg2-client --help lists them",
                  ESCAPED(argv[optind], strlen(argv[optind])));
        return STATUS_FAILED;
}

/* Return: 0, RCFILE_E_NONE, or a negative number; it has been logged */
static int read_file(const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = file_read(AT_FDCWD, path, RCFILE_SIZE_MAX, &text, &n);
        if (r == FILE_E_NOT_FOUND)
                return RCFILE_E_NONE;
        if (r) {
                log_error("%s: %s", path, r > 0 ? file_error_text(r) : strerror(-r));
                return -1;
        }
        r = rcfile_parse(text, &arg_target);
        if (r != RCFILE_E_INVALID)
                return r;
        log_error("%s: " RCFILE_VARIABLE
                  " is no name of a domain: letters, digits, '_', '-', ':' after a letter or '@'",
                  path);
        return -1;
}

static int find_target(void) {
        char path[PATH_MAX];
        int r = RCFILE_E_NONE;

        if (arg_target.text[0] != '\0')
                return 0;
        if (paths_config(USER_FILE, path) == 0)
                r = read_file(path);
        if (r == RCFILE_E_NONE)
                r = read_file(SYSTEM_FILE);
        if (r == RCFILE_E_NONE)
                r = rcfile_domain_parse("@default", strlen("@default"), &arg_target);
        return r ? STATUS_FAILED : 0;
}

static int find_socket(char path[static PATH_MAX]) {
        const char *const argv[] = { GPGCONF_PROGRAM, "--list-dirs", "agent-socket", NULL };
        _cleanup_(exchange_deinit) Exchange exchange = {};
        size_t n = 0;

        if (arg_listen) {
                if (snprintf(path, PATH_MAX, "%s", arg_listen) < PATH_MAX)
                        return 0;
        } else if (exchange_run(argv, NULL, "", 0, 65536, 65536, &exchange) == 0 && exchange.status == 0 &&
                   assuan_data_decode(exchange.out ?: "", strcspn(exchange.out ?: "", "\n"), (uint8_t *)path,
                                      PATH_MAX - 1, &n) == 0 &&
                   n > 0) {
                path[n] = '\0';
                return 0;
        }
        log_error("cannot find out where gpg looks for its agent (%s --list-dirs agent-socket): name it with --listen",
                  GPGCONF_PROGRAM);
        return STATUS_FAILED;
}

int main(int argc, char **argv) {
        char path[PATH_MAX];
        _cleanup_fd_ int fd = -1;
        int r;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("split-gpg2-client", false);
        (void)signal(SIGPIPE, SIG_IGN);
        r = parse_options(argc, argv);
        if (r < 0) {
                help();
                return 0;
        }
        r = r ?: find_target();
        r = r ?: listener_take(&fd);
        if (!r && fd < 0) {
                r = find_socket(path);
                r = r ?: listener_open(path, &fd);
                if (r == LISTENER_E_FAILED)
                        log_error("if that is a gpg-agent of this account: gpgconf --kill gpg-agent");
        }
        r = r ?: forward_run(fd, arg_target.text, SERVICE);
        return r ? STATUS_FAILED : 0;
}
