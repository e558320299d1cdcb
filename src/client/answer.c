/* SPDX-License-Identifier: Apache-2.0 */
#include "client/answer.h"

#include <errno.h>
#include <poll.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"

void answer_deinit(Answer *answer) {
        answer->fd = fd_close(answer->fd);
}

int answer_receive(Answer *answer, int socket_fd, size_t n_max) {
        struct pollfd poll_fd = { .fd = socket_fd, .events = POLLIN };
        size_t n, n_fds;
        int fds[1];
        int r;

        if (n_max > sizeof(answer->data) || n_max <= answer->n)
                return error_origin(-EINVAL);
        do {
                if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
                        return error_origin(-errno);
                r = socket_receive(socket_fd, answer->data + answer->n, n_max - answer->n, &n, fds, 1, &n_fds);
        } while (r == SOCKET_E_AGAIN);

        switch (r) {
        case 0:
                break;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                return ANSWER_E_END;
        case SOCKET_E_TRUNCATED:
                return ANSWER_E_BROKEN;
        default:
                return error_fold(r);
        }
        answer->n += n;
        if (n_fds == 0)
                return 0;
        if (answer->fd >= 0) {
                fd_close(fds[0]);
                return ANSWER_E_BROKEN;
        }
        answer->fd = fds[0];
        return 0;
}
