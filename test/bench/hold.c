/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold COUNT TARGET SERVICE [shake] - open COUNT calls one after the other, and hold them until standard input ends
 *
 * A caller of a few descriptors a call instead of a process a call: the trigger protocol (doc/protocol.md, 4), and then
 * nothing but keeping what came with the reply, be it one stream (framed) or a status stream and two pipes (direct).
 * With `shake` it is a hostile one as well: it grows and shrinks its pipes (F_SETPIPE_SZ) as fast as it can.
 *
 * Prints `held N pipes P` when no more calls can be opened or all are; why it stopped early is on standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "wire/header.h"
#include "wire/hello.h"
#include "wire/reply.h"
#include "wire/trigger.h"

#define HOLD_SOCKET    "/run/qubes/qrexec-agent"
#define HOLD_CALLS_MAX 16000
#define HOLD_PIPE_MAX  (1024 * 1024)
#define HOLD_PIPE_MIN  4096

static int pipes[2 * HOLD_CALLS_MAX];
static size_t n_pipes;

/* Wait for the reply and keep what comes with it. */
static int hold_receive(int fd, int ret_fds[static SOCKET_FDS_MAX], size_t *ret_n_fds) {
        uint8_t data[REPLY_REFUSED_SIZE];
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        Reply reply;
        size_t n;

        if (poll(&poll_fd, 1, -1) < 0)
                return -errno;
        if (socket_receive(fd, data, sizeof(data), &n, ret_fds, SOCKET_FDS_MAX, ret_n_fds) != 0)
                return -ECONNABORTED;
        if (reply_decode(data, n, &reply) != 0)
                return -EPROTO;
        if (reply.connect_domain == WIRE_DOMAIN_REFUSED) {
                (void)fprintf(stderr, "hold: %s\n", reply_reason_text(reply.reason));
                return -EACCES;
        }
        return *ret_n_fds > 0 ? 0 : -EPROTO;
}

static void hold_note_pipes(const int *fds, size_t n_fds) {
        for (size_t i = 0; i < n_fds; ++i)
                if (fcntl(fds[i], F_GETPIPE_SZ) > 0)
                        pipes[n_pipes++] = fds[i];
}

static int hold_open(const uint8_t *trigger, size_t n_trigger) {
        int fds[SOCKET_FDS_MAX];
        uint8_t hello[WIRE_HEADER_SIZE + HELLO_SIZE];
        _cleanup_fd_ int fd = -1;
        size_t n_fds;
        int r;

        r = socket_connect(HOLD_SOCKET, SOCK_STREAM, &fd);
        if (r)
                return r < 0 ? r : -EINVAL;
        r = fd_write_full(fd, trigger, n_trigger);
        if (r)
                return r;
        r = hold_receive(fd, fds, &n_fds);
        if (r)
                return r;
        if (n_fds == 1) {
                /* Framed: both sides begin with HELLO. A direct call's status stream needs nothing from us. */
                wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, hello);
                hello_encode(&(Hello){ .version = WIRE_VERSION }, hello + WIRE_HEADER_SIZE);
                if (send(fds[0], hello, sizeof(hello), MSG_NOSIGNAL) < 0)
                        return -errno;
        }
        hold_note_pipes(fds, n_fds);
        return 0;
}

static void hold_shake(void) {
        struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };

        while (poll(&end, 1, n_pipes > 0 ? 0 : -1) == 0)
                for (int size = HOLD_PIPE_MAX; size >= HOLD_PIPE_MIN; size /= HOLD_PIPE_MAX / HOLD_PIPE_MIN)
                        for (size_t i = 0; i < n_pipes; ++i)
                                (void)fcntl(pipes[i], F_SETPIPE_SZ, size);
}

int main(int argc, char **argv) {
        static uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        struct rlimit limit;
        size_t n, n_message, n_held = 0;
        char byte;

        n = argc >= 4 ? strtoul(argv[1], NULL, 10) : 0;
        if (n == 0 || n > HOLD_CALLS_MAX) {
                (void)fprintf(stderr, "usage: hold COUNT TARGET SERVICE [shake]\n");
                return 2;
        }
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
        if (trigger_new("", argv[2], IDENT_QAIR, argv[3], &trigger) != 0 ||
            trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, message, sizeof(message), &n_message) != 0)
                return 1;
        for (; n_held < n; ++n_held) {
                int r = hold_open(message, n_message);

                if (r) {
                        (void)fprintf(stderr, "hold: call %zu: %s\n", n_held + 1, strerror(-r));
                        break;
                }
        }
        (void)printf("held %zu pipes %zu\n", n_held, n_pipes);
        if (fflush(stdout) != 0)
                return 1;
        if (argc > 4 && strcmp(argv[4], "shake") == 0)
                hold_shake();
        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
        return 0;
}
