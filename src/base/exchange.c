/* SPDX-License-Identifier: Apache-2.0 */
#include "base/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

extern char **environ;

/** Read at a time. */
#define CHUNK 65536

/** Our ends of a program's streams. */
typedef struct Streams {
        int in_fd, out_fd, err_fd; /* -1: closed */
        const char *payload;       /* what is still to be written */
        size_t n_payload;
} Streams;

static void streams_deinit(Streams *streams) {
        fd_close(streams->in_fd);
        fd_close(streams->out_fd);
        fd_close(streams->err_fd);
}

void exchange_deinit(Exchange *exchange) {
        free(exchange->out);
        free(exchange->err);
        *exchange = (Exchange){};
}

/* @fds: the program's ends. Return: 0 or an errno */
static int exchange_spawn(const char *const *argv, char *const *environment, const int fds[3], pid_t *ret_pid) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r)
                return r;
        r = posix_spawnattr_init(&attributes);
        if (r) {
                posix_spawn_file_actions_destroy(&actions);
                return r;
        }
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        r = posix_spawnattr_setsigdefault(&attributes, &defaults);
        r = r ?: posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        for (int i = 0; i < 3 && r == 0; ++i)
                r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
        r = r
                    ?: posix_spawn(ret_pid, argv[0], &actions, &attributes, (char *const *)argv,
                                   environment ? environment : environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

static int exchange_start(const char *const *argv, char *const *environment, Streams *streams, Exchange *exchange,
                          pid_t *ret_pid) {
        int fds[3] = { -1, -1, -1 }, *ours[] = { &streams->in_fd, &streams->out_fd, &streams->err_fd }, r = 0;

        for (size_t i = 0; i < 3 && r == 0; ++i) {
                int ends[2];

                if (pipe2(ends, O_CLOEXEC) < 0) {
                        r = error_origin(-errno);
                        break;
                }
                fds[i] = ends[i > 0];
                *ours[i] = ends[i == 0];
                r = error_origin(fd_set_nonblocking(*ours[i], true));
        }
        if (r == 0) {
                r = exchange_spawn(argv, environment, fds, ret_pid);
                if (r > 0 && asprintf(&exchange->err, "%s: %s\n", argv[0], strerror(r)) < 0) {
                        exchange->err = NULL;
                        r = error_origin(-ENOMEM);
                }
                if (r > 0) {
                        exchange->n_err = strlen(exchange->err);
                        r = EXCHANGE_E_START;
                }
        }
        for (size_t i = 0; i < 3; ++i)
                fd_close(fds[i]);
        return r;
}

static void exchange_write(Streams *streams) {
        ssize_t n = streams->n_payload > 0 ? write(streams->in_fd, streams->payload, streams->n_payload) : 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0) {
                streams->payload += n;
                streams->n_payload -= (size_t)n;
        }
        if (n < 0 || streams->n_payload == 0)
                streams->in_fd = fd_close(streams->in_fd);
}

static int exchange_read(int *fd, size_t n_max, char **data, size_t *n) {
        char *larger = realloc(*data, *n + CHUNK + 1);
        ssize_t got;

        if (!larger)
                return error_origin(-ENOMEM);
        *data = larger;
        got = read(*fd, larger + *n, CHUNK);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                got = 0;
        else if (got <= 0)
                *fd = fd_close(*fd);
        *n += got > 0 ? (size_t)got : 0;
        larger[*n] = '\0';
        return *n > n_max ? EXCHANGE_E_TOO_MUCH : 0;
}

static int exchange_serve(Streams *streams, size_t n_max, size_t n_max_err, Exchange *exchange) {
        int r = 0;

        while (r == 0 && (streams->out_fd >= 0 || streams->err_fd >= 0)) {
                struct pollfd polled[] = { { .fd = streams->in_fd, .events = POLLOUT },
                                           { .fd = streams->out_fd, .events = POLLIN },
                                           { .fd = streams->err_fd, .events = POLLIN } };

                if (poll(polled, ARRAY_SIZE(polled), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_origin(-errno);
                }
                if (polled[0].revents)
                        exchange_write(streams);
                if (polled[1].revents)
                        r = exchange_read(&streams->out_fd, n_max, &exchange->out, &exchange->n_out);
                if (polled[2].revents && r == 0)
                        r = exchange_read(&streams->err_fd, n_max_err, &exchange->err, &exchange->n_err);
        }
        return r;
}

int exchange_run(const char *const *argv, char *const *environment, const void *payload, size_t n_payload, size_t n_max,
                 size_t n_max_err, Exchange *ret_exchange) {
        Streams streams = { .in_fd = -1, .out_fd = -1, .err_fd = -1, .payload = payload, .n_payload = n_payload };
        _cleanup_(exchange_deinit) Exchange exchange = {};
        int r, status;
        pid_t pid = -1;

        r = exchange_start(argv, environment, &streams, &exchange, &pid);
        if (r == 0) {
                r = exchange_serve(&streams, n_max, n_max_err, &exchange);
                /* Without our ends it cannot wait for us, whatever it does. */
                streams_deinit(&streams);
                while (waitpid(pid, &status, 0) < 0)
                        if (errno != EINTR)
                                return error_origin(-errno);
                exchange.status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
        } else {
                streams_deinit(&streams);
        }
        if (r < 0)
                return r;
        *ret_exchange = exchange;
        exchange = (Exchange){};
        return r;
}
