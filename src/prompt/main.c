/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/socket.h"
#include "prompt/agent.h"
#include "prompt/front.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

#define LOCK "policy-agent.lock"

typedef struct Arguments {
        const char *socket_path;
        const char *window;
        int front_end_fd;
        bool until_idle;
} Arguments;

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qrexec-policy-agent [OPTION]…\n"
                        "Ask the person who sits here about calls between domains, and show notifications.\n"
                        "Started with the session; see qrexec-policy-agent(1).\n"
                        "\n"
                        "  -s, --socket-path=PATH  listen here; $XDG_RUNTIME_DIR/qubes/policy-agent.sock if not given\n"
                        "      --window=PROGRAM    shows windows; \"\": none\n"
                        "      --front-end-fd=N    a front end that is connected already\n"
                        "      --until-idle        end when the last front end has gone\n"
                        "  -h, --help              show this help\n");
        return status;
}

/* @name in the folder of the socket @path. Return: 0 or -ENAMETOOLONG */
static int beside(const char *path, const char *name, char ret_path[static SOCKET_PATH_MAX]) {
        const char *slash = strrchr(path, '/');
        int n = snprintf(ret_path, SOCKET_PATH_MAX, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);

        return n > 0 && (size_t)n < SOCKET_PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* One agent at a time, whichever way it ended: the lock goes with the process, and is kept until then. */
static int take_lock(const char *socket_path) {
        char path[SOCKET_PATH_MAX];
        int fd;

        if (beside(socket_path, LOCK, path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                int r = -errno;

                fd_close(fd);
                return r;
        }
        return 0;
}

static int listen_at(const char *path, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        mode_t mask;
        socklen_t n;
        int r;

        if (socket_address(path, &address, &n))
                return -ENAMETOOLONG;
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        (void)socket_refuse_rights(fd);
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *)&address, n) < 0 ? -errno : 0;
        umask(mask);
        if (r)
                return r;
        if (listen(fd, SOMAXCONN) < 0)
                return -errno;
        *ret_fd = fd_steal(&fd);
        return 0;
}

static int open_sockets(const char *wanted, int *ret_ask_fd, int *ret_front_fd) {
        char directory[SOCKET_PATH_MAX], ask[SOCKET_PATH_MAX], front[SOCKET_PATH_MAX];
        const char *failed = ask;
        int r;

        if (wanted) {
                r = snprintf(ask, sizeof(ask), "%s", wanted) < (int)sizeof(ask) ? 0 : -ENAMETOOLONG;
        } else {
                r = paths_session(geteuid(), "qubes", directory, sizeof(directory)) ||
                                    paths_session(geteuid(), PATHS_POLICY_AGENT, ask, sizeof(ask))
                            ? -ENAMETOOLONG
                            : 0;
                if (!r && mkdir(directory, 0700) < 0 && errno != EEXIST)
                        r = -errno;
        }
        r = r ?: beside(ask, strrchr(PATHS_POLICY_PROMPTS, '/') + 1, front);
        r = r ?: take_lock(ask);
        if (r == -EWOULDBLOCK) {
                log_error("%s: another policy agent serves it", ask);
                return r;
        }
        if (!r)
                r = listen_at(ask, ret_ask_fd);
        if (!r) {
                failed = front;
                r = listen_at(front, ret_front_fd);
        }
        if (r)
                log_error("cannot listen at %s: %s", failed, strerror(-r));
        return r;
}

/* Those of the socket unit, by the order in which it names them; or our own. */
static int take_sockets(const Arguments *arguments, int *ret_ask_fd, int *ret_front_fd) {
        int n = sd_listen_fds(true);

        if (n == 2) {
                *ret_ask_fd = SD_LISTEN_FDS_START;
                *ret_front_fd = SD_LISTEN_FDS_START + 1;
                return 0;
        }
        if (n > 0) {
                log_error("%d sockets were passed: the first is that of policy.Ask, the second that of front ends", n);
                return -EINVAL;
        }
        return open_sockets(arguments->socket_path, ret_ask_fd, ret_front_fd);
}

static int serve(const Arguments *arguments) {
        bool has_display = getenv("WAYLAND_DISPLAY") || getenv("DISPLAY");
        AgentOptions options = { .until_idle = arguments->until_idle };
        _cleanup_(agent_freep) Agent *agent = NULL;
        int ask_fd = -1, front_fd = -1, r;

        if (has_display && arguments->window[0] != '\0' && access(arguments->window, X_OK) == 0)
                options.window = arguments->window;
        r = take_sockets(arguments, &ask_fd, &front_fd);
        if (r) {
                fd_close(ask_fd);
                return r;
        }
        r = agent_new(&options, ask_fd, front_fd, &agent);
        if (!r && arguments->front_end_fd >= 0) {
                r = fd_set_cloexec(arguments->front_end_fd, true);
                r = r ?: fd_set_nonblocking(arguments->front_end_fd, true);
                r = r ?: front_new(agent, arguments->front_end_fd, false);
        }
        if (r)
                return r;
        (void)sd_notify(false, "READY=1");
        return agent_run(agent);
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "socket-path", required_argument, NULL, 's' },
                { "window", required_argument, NULL, 'w' },
                { "front-end-fd", required_argument, NULL, 'f' },
                { "until-idle", no_argument, NULL, 'i' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        Arguments arguments = { .front_end_fd = -1, .window = QAIR_LIBEXECDIR "/qrexec-policy-window" };
        uint64_t number;
        int option;

        if (fd_ensure_standard() < 0)
                return EXIT_FAILED;
        log_open("qrexec-policy-agent", true);
        while ((option = getopt_long(argc, argv, "s:h", options, NULL)) >= 0) {
                switch (option) {
                case 's':
                        arguments.socket_path = optarg;
                        break;
                case 'w':
                        arguments.window = optarg;
                        break;
                case 'f':
                        if (number_parse(optarg, strlen(optarg), 3, INT32_MAX, &number))
                                return usage(stderr, EXIT_USAGE);
                        arguments.front_end_fd = (int)number;
                        break;
                case 'i':
                        arguments.until_idle = true;
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, EXIT_USAGE);
                }
        }
        if (optind != argc)
                return usage(stderr, EXIT_USAGE);
        return serve(&arguments) < 0 ? EXIT_FAILED : 0;
}
