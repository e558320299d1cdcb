/* SPDX-License-Identifier: Apache-2.0 */
/* split-ssh forward: one process for all connections of a user. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "split-ssh/account.h"
#include "split-ssh/command.h"
#include "ssh-forward/forward.h"
#include "ssh-forward/listener.h"
#include "ssh/places.h"

#define FORWARD_SERVICE "qubes.Ssh"

typedef struct ForwardOptions {
        const char *service;
        VaultName target;
        bool has_path, background;
        char path[SOCKET_PATH_MAX];
} ForwardOptions;

static void forward_help(void) {
        printf("Usage: split-ssh forward [OPTION ...]\n"
               "\n"
               "Listen at a socket, and make each connection to it a call to the domain that has the keys.\n"
               "\n"
               "  --listen PATH    the socket (default: $XDG_RUNTIME_DIR/ssh/S.ssh-agent)\n"
               "  --service NAME   what is called (default: " FORWARD_SERVICE "); qubes.SshAgent+AGENT for one agent\n"
               "  --target DOMAIN  who has the keys (default: ~/.config/qubes/split-ssh-vault,\n"
               "                   /rw/config/split-ssh-vault, $QUBES_SSH_DOMAIN, @default)\n"
               "  --background     return when it listens\n"
               "\n"
               "Then: export SSH_AUTH_SOCK=PATH. See split-ssh(1).\n");
}

/* Return: 0 or COMMAND_STATUS_FAILED */
static int forward_set_path(ForwardOptions *options, const char *path) {
        if (strlen(path) >= sizeof(options->path)) {
                log_error("%s: too long for the path of a socket", ESCAPED(path, strlen(path)));
                return COMMAND_STATUS_FAILED;
        }
        strcpy(options->path, path); /* its length was looked at */
        options->has_path = true;
        return 0;
}

static int forward_set_service(ForwardOptions *options, const char *service) {
        if (service_name_check(service, strcspn(service, "+"))) {
                log_error("--service: \"%s\" is no service", ESCAPED(service, strlen(service)));
                return COMMAND_STATUS_FAILED;
        }
        options->service = service;
        return 0;
}

static int forward_set_target(ForwardOptions *options, const char *target) {
        if (vault_name_parse(target, strlen(target), &options->target)) {
                log_error("--target: \"%s\" is no name of a domain", ESCAPED(target, strlen(target)));
                return COMMAND_STATUS_FAILED;
        }
        return 0;
}

/* Return: 0, -1: help was wanted, or COMMAND_STATUS_FAILED */
static int forward_parse(int argc, char **argv, ForwardOptions *options) {
        static const struct option known[] = {
                { "listen", required_argument, NULL, 'l' }, { "service", required_argument, NULL, 's' },
                { "target", required_argument, NULL, 't' }, { "background", no_argument, NULL, 'b' },
                { "help", no_argument, NULL, 'h' },         {},
        };
        int option, r = 0;

        while (!r && (option = getopt_long(argc, argv, "+h", known, NULL)) != -1)
                switch (option) {
                case 'l':
                        r = forward_set_path(options, optarg);
                        break;
                case 's':
                        r = forward_set_service(options, optarg);
                        break;
                case 't':
                        r = forward_set_target(options, optarg);
                        break;
                case 'b':
                        options->background = true;
                        break;
                case 'h':
                        return -1;
                default:
                        r = COMMAND_STATUS_FAILED;
                }
        if (!r && optind < argc) {
                log_error("forward: \"%s\" is no option: 'split-ssh forward --help' lists them",
                          ESCAPED(argv[optind], strlen(argv[optind])));
                r = COMMAND_STATUS_FAILED;
        }
        return r;
}

/* What was not said. Return: 0 or COMMAND_STATUS_FAILED */
static int forward_complete(ForwardOptions *options) {
        int r;

        if (!options->has_path && places_forwarded(options->path)) {
                log_error("%s", places_error_text(PLACES_E_LENGTH));
                return COMMAND_STATUS_FAILED;
        }
        if (options->target.text[0] != '\0')
                return 0;
        strcpy(options->target.text, "@default");
        r = places_vault(false, &options->target);
        if (r == 0 || r == PLACES_E_NONE)
                return 0;
        if (r != PLACES_E_INVALID)
                log_error("%s", places_error_text(r));
        return COMMAND_STATUS_FAILED;
}

/* Return: 0: in the background; 1: in the foreground, which is to end; or a negative error */
static int forward_go_to_background(void) {
        _cleanup_fd_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        pid_t pid;

        if (null_fd < 0)
                return error_origin(-errno);
        pid = fork();
        if (pid != 0)
                return pid < 0 ? error_origin(-errno) : 1;
        if (setsid() < 0 || chdir("/") < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
            dup2(null_fd, STDERR_FILENO) < 0)
                return error_origin(-errno);
        return 0;
}

int command_forward(int argc, char **argv) {
        ForwardOptions options = { .service = FORWARD_SERVICE };
        _cleanup_fd_ int fd = -1;
        int r;

        r = forward_parse(argc, argv, &options);
        if (r < 0) {
                forward_help();
                return 0;
        }
        r = r ?: forward_complete(&options);
        if (r)
                return r;
        r = listener_take(&fd);
        if (!r && fd < 0)
                r = listener_open(options.path, &fd);
        if (r)
                return COMMAND_STATUS_FAILED;
        if (options.background) {
                r = forward_go_to_background();
                if (r)
                        return r < 0 ? r : 0;
        }
        return error_trace(forward_run(fd, options.target.text, options.service));
}
