/* SPDX-License-Identifier: Apache-2.0 */
#include "data/end.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

/* A failure is no error: the caller has a way that needs no descriptor of our own. */
static int data_end_reopen(int fd, bool writable) {
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return open(path, (writable ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void data_end_init(DataEnd *end, int fd, bool writable, bool inherited) {
        struct stat status;

        *end = (DataEnd){ .fd = fd, .own_fd = -1, .kind = DATA_END_KIND_OTHER };
        if (fd < 0 || fstat(fd, &status) < 0)
                return;
        if (S_ISSOCK(status.st_mode))
                end->kind = DATA_END_KIND_SOCKET;
        else if (S_ISFIFO(status.st_mode) || (S_ISCHR(status.st_mode) && isatty(fd)))
                end->kind = DATA_END_KIND_PIPE;
        if (end->kind == DATA_END_KIND_PIPE && inherited)
                end->own_fd = data_end_reopen(fd, writable);
}

void data_end_init_own(DataEnd *end, int fd) {
        struct stat status;

        *end = (DataEnd){ .fd = fd, .own_fd = -1, .kind = DATA_END_KIND_OTHER };
        if (fd < 0 || fstat(fd, &status) < 0)
                return;
        if (S_ISSOCK(status.st_mode))
                end->kind = DATA_END_KIND_SOCKET;
        (void)fd_set_nonblocking(fd, true);
}

void data_end_deinit(DataEnd *end) {
        end->own_fd = fd_close(end->own_fd);
        end->fd = fd_close(end->fd);
}

bool data_end_is_readable(const DataEnd *end) {
        struct pollfd poll_fd = { .fd = data_end_poll_fd(end), .events = POLLIN };

        return poll(&poll_fd, 1, 0) == 1;
}

int data_end_read(DataEnd *end, void *data, size_t n_max, size_t *ret_n) {
        ssize_t n;

        do
                n = end->kind == DATA_END_KIND_SOCKET ? recv(end->fd, data, n_max, MSG_DONTWAIT)
                                                      : read(data_end_poll_fd(end), data, n_max);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                switch (errno) {
                case EAGAIN:
                        return DATA_END_E_AGAIN;
                case ECONNRESET:
                        return DATA_END_E_EOF;
                default:
                        log_error("cannot read local data: %s", strerror(errno));
                        return DATA_END_E_FAILED;
                }
        }
        if (n == 0)
                return DATA_END_E_EOF;
        *ret_n = (size_t)n;
        return 0;
}

static ssize_t data_end_write_once(DataEnd *end, const void *data, size_t n) {
        struct pollfd poll_fd = { .fd = end->fd, .events = POLLOUT };

        if (end->kind == DATA_END_KIND_SOCKET)
                return send(end->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (end->kind == DATA_END_KIND_OTHER || end->own_fd >= 0)
                return write(data_end_poll_fd(end), data, n);
        if (poll(&poll_fd, 1, 0) == 0) {
                errno = EAGAIN;
                return -1;
        }
        return write(end->fd, data, n < PIPE_BUF ? n : PIPE_BUF);
}

int data_end_write(DataEnd *end, const void *data, size_t n, size_t *ret_n) {
        ssize_t n_written;

        do
                n_written = data_end_write_once(end, data, n);
        while (n_written < 0 && errno == EINTR);
        if (n_written < 0) {
                switch (errno) {
                case EAGAIN:
                        return DATA_END_E_AGAIN;
                case EPIPE:
                case ECONNRESET:
                        return DATA_END_E_EOF;
                default:
                        log_error("cannot write local data: %s", strerror(errno));
                        return DATA_END_E_FAILED;
                }
        }
        *ret_n = (size_t)n_written;
        return 0;
}
