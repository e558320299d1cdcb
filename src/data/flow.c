/* SPDX-License-Identifier: Apache-2.0 */
#include "data/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * Which of both ends said EAGAIN? The one that is read, unless there is something to read, or its end: that is asked after,
 * since a full pipe or socket is looked at before an end-of-file, and no event would tell of that once more.
 */
static int flow_held_up(int from_fd) {
        struct pollfd from = { .fd = from_fd, .events = POLLIN };

        return poll(&from, 1, 0) == 1 ? DATA_FLOW_E_FULL : DATA_FLOW_E_EMPTY;
}

/* The pipe's one complaint is EPIPE; the socket has many, and all mean that nothing goes through it any more. */
static int flow_failed(const DataFlow *flow) {
        return flow->from_socket && errno != EPIPE ? DATA_FLOW_E_END : DATA_FLOW_E_GONE;
}

int data_flow_run(DataFlow *flow, int from_fd, int to_fd) {
        for (unsigned i = 0; i < DATA_FLOW_TURN_MAX; ++i) {
                ssize_t n = splice(from_fd, NULL, to_fd, NULL, DATA_FLOW_SPLICE_MAX, SPLICE_F_NONBLOCK);

                if (n == 0)
                        return DATA_FLOW_E_END;
                if (n > 0)
                        data_growth_count(&flow->growth, (size_t)n, from_fd, to_fd);
                else if (errno == EAGAIN)
                        return flow_held_up(from_fd);
                else if (errno != EINTR)
                        return flow_failed(flow);
        }
        return DATA_FLOW_E_TURN;
}

int data_flow_drop(const DataFlow *flow, int from_fd, int null_fd) {
        char data[DATA_FLOW_DROP_MAX];

        for (unsigned i = 0; i < DATA_FLOW_TURN_MAX; ++i) {
                ssize_t n;

                if (flow->from_socket)
                        n = recv(from_fd, data, sizeof(data), MSG_DONTWAIT);
                else
                        n = splice(from_fd, NULL, null_fd, NULL, DATA_FLOW_SPLICE_MAX, SPLICE_F_NONBLOCK);
                if (n < 0 && errno == EAGAIN)
                        return DATA_FLOW_E_EMPTY;
                if (n == 0 || (n < 0 && errno != EINTR))
                        return DATA_FLOW_E_END;
        }
        return DATA_FLOW_E_TURN;
}
