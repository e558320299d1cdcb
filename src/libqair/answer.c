/* SPDX-License-Identifier: Apache-2.0 */
#include "libqair/answer.h"

#include <errno.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "wire/header.h"

void answer_deinit(Answer *answer) {
        while (answer->n_fds > 0)
                fd_close(answer->fds[--answer->n_fds]);
}

/* Where waiting is asked for, and the socket does not do it by itself. */
static int answer_wait(int socket_fd) {
        struct pollfd poll_fd = { .fd = socket_fd, .events = POLLIN };

        return poll(&poll_fd, 1, -1) < 0 && errno != EINTR ? error_origin(-errno) : 0;
}

int answer_receive(Answer *answer, int socket_fd, size_t n_max, bool wait) {
        int fds[SOCKET_FDS_MAX];
        size_t n, n_fds;
        int r;

        if (n_max > sizeof(answer->data) || n_max <= answer->n)
                return error_origin(-EINVAL);
        do
                r = (wait ? socket_receive_wait : socket_receive)(socket_fd, answer->data + answer->n,
                                                                  n_max - answer->n, &n, fds, ARRAY_SIZE(fds), &n_fds);
        while (r == SOCKET_E_AGAIN && wait && answer_wait(socket_fd) == 0);

        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return ANSWER_E_AGAIN;
        case SOCKET_E_EOF:
                return ANSWER_E_END;
        case SOCKET_E_GONE:
                return ANSWER_E_RESET;
        case SOCKET_E_TRUNCATED:
                return ANSWER_E_BROKEN;
        default:
                return error_fold(r);
        }
        answer->n += n;
        for (size_t i = 0; i < n_fds; ++i) {
                if (answer->n_fds < ARRAY_SIZE(answer->fds)) {
                        answer->fds[answer->n_fds++] = fds[i];
                } else {
                        fd_close(fds[i]);
                        r = ANSWER_E_BROKEN;
                }
        }
        return r;
}

int answer_take_channel(Answer *answer, uint32_t mode, Channel *ret_channel) {
        Channel channel = CHANNEL_INIT;

        if (mode == WIRE_DOMAIN_FRAMED && answer->n_fds == 1) {
                channel.stream_fd = answer->fds[0];
        } else if (mode == WIRE_DOMAIN_DIRECT && answer->n_fds == 3) {
                channel.stream_fd = answer->fds[0];
                channel.stdin_fd = answer->fds[1];
                channel.stdout_fd = answer->fds[2];
        } else {
                return ANSWER_E_BROKEN;
        }
        answer->n_fds = 0;
        *ret_channel = channel;
        return 0;
}
