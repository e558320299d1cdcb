/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/forkserver.h"
#include "agent/location.h"
#include "agent/lookup.h"
#include "agent/servicelog.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"

/* protocol specification, 7.1: the same for all programs */
#define EXIT_NO_STANDARD_FDS 125

#define BACKLOG 128

extern char **environ;

static bool arg_foreground;
static const char *arg_socket;

static void usage(FILE *stream) {
        fputs("Usage: qrexec-fork-server [-f] [SOCKET]\n"
              "Start the programs of calls inside this session, for the agent of this account.\n"
              "\n"
              "  -f, --foreground  do not go to the background\n"
              "  -h, --help        show this text\n"
              "\n"
              "SOCKET is by default qubes/qrexec-server.$USER.sock in $XDG_RUNTIME_DIR, or without\n"
              "one in /run. See qrexec-fork-server(1).\n",
              stream);
}

/* Return: -1: go on, or what main() returns. */
static int parse_arguments(int argc, char **argv) {
        static const struct option options[] = {
                { "foreground", no_argument, NULL, 'f' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "fh", options, NULL)) >= 0) {
                switch (option) {
                case 'f':
                        arg_foreground = true;
                        break;
                case 'h':
                        usage(stdout);
                        return EXIT_SUCCESS;
                default:
                        usage(stderr);
                        return EXIT_FAILURE;
                }
        }
        if (argc - optind > 1) {
                usage(stderr);
                return EXIT_FAILURE;
        }
        arg_socket = argv[optind];
        return -1;
}

/* The folder of a socket in the account's own place need not be there yet. */
static void make_folder(const char *path) {
        _cleanup_free_ char *folder = strdup(path);
        char *slash = folder ? strrchr(folder, '/') : NULL;

        if (!slash || slash == folder)
                return;
        *slash = '\0';
        (void)mkdir(folder, 0700);
}

/* What a server that is gone has left is removed, a server that is there is not. Return: 0 or -errno */
static int bind_socket(const char *path, int *ret_fd) {
        _cleanup_fd_ int fd = -1, other_fd = -1;
        struct sockaddr_un address;
        socklen_t n_address;
        int r;

        if (socket_address(path, &address, &n_address))
                return -ENAMETOOLONG;
        make_folder(path);
        r = socket_connect(path, SOCK_STREAM | SOCK_NONBLOCK, &other_fd);
        if (r == 0 || r == -EAGAIN)
                return -EADDRINUSE;
        if (r == -ECONNREFUSED)
                (void)unlink(path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, n_address) < 0 || listen(fd, BACKLOG) < 0)
                return -errno;
        *ret_fd = fd_steal(&fd);
        return 0;
}

/* Return: 0: go on; -1: this process was only the first */
static int go_to_background(void) {
        pid_t pid = fork();

        if (pid < 0) {
                log_error("cannot go to the background: %s", strerror(errno));
                return -1;
        }
        if (pid > 0)
                _exit(EXIT_SUCCESS);
        (void)setsid();
        return 0;
}

static const char *environment_or(const char *variable, const char *otherwise) {
        const char *value = getenv(variable);

        return value && *value ? value : otherwise;
}

static int run(const char *path) {
        ServiceSettings settings = { .shell = true };
        VchanPlace place;
        struct rlimit files, more_files;
        Forkserver *server = NULL;
        sigset_t signals;
        int listen_fd, r;

        if (vchan_place_init(getenv("VCHAN_SOCKET_DIR"), getenv("VCHAN_DOMAIN"), &place)) {
                log_error("VCHAN_DOMAIN is no domain's id: a decimal number is wanted");
                return EXIT_FAILURE;
        }
        settings.place = &place;
        r = bind_socket(path, &listen_fd);
        if (r < 0) {
                log_error("%s: %s", ESCAPED(path, strlen(path)),
                          r == -EADDRINUSE ? "another fork server is there already" : strerror(-r));
                return EXIT_FAILURE;
        }
        if (!arg_foreground && go_to_background() < 0)
                return EXIT_FAILURE;

        /* A descriptor for every call; services get back the limit that programs expect (select(2)). */
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                more_files = (struct rlimit){ .rlim_cur = files.rlim_max, .rlim_max = files.rlim_max };
                (void)setrlimit(RLIMIT_NOFILE, &more_files);
                settings.files = &files;
        }
        settings.home = getenv("HOME");
        settings.service_path = environment_or("QREXEC_SERVICE_PATH", LOOKUP_SERVICE_PATH);
        settings.config_path = environment_or("QUBES_RPC_CONFIG_PATH", LOOKUP_CONFIG_PATH);
        settings.shell_program = environment_or("SHELL", "/bin/sh");
        settings.journal = SERVICELOG_JOURNAL;
        settings.syslog = SERVICELOG_SYSLOG;
        settings.environment = environ;
        spawn_find_signals(&signals);
        sigaddset(&signals, SIGPIPE);
        settings.signals = &signals;

        r = forkserver_new(&settings, listen_fd, &server);
        if (!r)
                r = forkserver_run(server);
        (void)unlink(path);
        forkserver_free(server);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (fd_ensure_standard() < 0)
                return EXIT_NO_STANDARD_FDS;
        log_open("qrexec-fork-server", true);
        r = parse_arguments(argc, argv);
        if (r >= 0)
                return r;
        if (arg_socket) {
                path = strdup(arg_socket);
        } else if (!getenv("USER")) {
                log_error("USER is not set: name the socket");
                return EXIT_FAILURE;
        } else {
                path = location_fork_server(NULL, getenv("USER"));
        }
        if (!path) {
                log_error("no memory, or no such account");
                return EXIT_FAILURE;
        }
        return run(path);
}
