/* SPDX-License-Identifier: Apache-2.0 */
#include "data/complaint.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

void data_complaint_write(int fd, uint8_t *data, size_t n, DataFilter filter) {
        if (data_filter_applies(filter, fd))
                data_filter(data, n);
        while (n > 0) {
                ssize_t n_written = write(fd, data, n);

                /* Others may have set O_NONBLOCK on it. */
                if (n_written < 0 && errno == EAGAIN) {
                        struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

                        (void)poll(&poll_fd, 1, -1);
                        continue;
                }
                if (n_written < 0 && errno == EINTR)
                        continue;
                if (n_written < 0) {
                        log_error("cannot write to standard error: %s", strerror(errno));
                        return;
                }
                data += n_written;
                n -= (size_t)n_written;
        }
}
