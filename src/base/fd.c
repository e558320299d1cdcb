/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

int fd_close(int fd) {
        int saved = errno;

        /* Linux closes the descriptor whatever close() returns; retrying after EINTR could close another's. */
        if (fd >= 0)
                (void)close(fd);
        errno = saved;
        return -1;
}

/* Are these all numbers of a range, without one that is not ours in between? */
static bool fd_are_neighbours(const int *fds, size_t n, int *ret_first) {
        int first = fds[0];
        uint64_t seen = 0;

        if (n > 63)
                return false;
        for (size_t i = 1; i < n; ++i)
                if (fds[i] < first)
                        first = fds[i];
        for (size_t i = 0; i < n; ++i) {
                if (first < 0 || fds[i] - first >= 63)
                        return false;
                seen |= UINT64_C(1) << (fds[i] - first);
        }
        *ret_first = first;
        return seen == (UINT64_C(1) << n) - 1;
}

void fd_close_all(const int *fds, size_t n) {
        int saved = errno;
        int first;

        /* Linux 5.9; elsewhere one by one. By its number: not every libc has a function for it. */
        if (n < 2 || !fd_are_neighbours(fds, n, &first) ||
            syscall(SYS_close_range, (unsigned)first, (unsigned)first + (unsigned)n - 1, 0) < 0)
                for (size_t i = 0; i < n; ++i)
                        fd_close(fds[i]);
        errno = saved;
}

int fd_set_nonblocking(int fd, bool nonblocking) {
        int flags = fcntl(fd, F_GETFL);
        int wanted;

        if (flags < 0)
                return -errno;
        wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
                return -errno;
        return 0;
}

int fd_set_cloexec(int fd, bool cloexec) {
        if (fcntl(fd, F_SETFD, cloexec ? FD_CLOEXEC : 0) < 0)
                return -errno;
        return 0;
}

/* One question for all three. */
static bool fd_standard_are_open(void) {
        struct pollfd fds[3] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };

        if (poll(fds, 3, 0) < 0)
                return false;
        return !((fds[0].revents | fds[1].revents | fds[2].revents) & POLLNVAL);
}

int fd_ensure_standard(void) {
        if (fd_standard_are_open())
                return 0;
        for (int fd = 0; fd <= 2; ++fd) {
                int opened;

                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                if (errno != EBADF)
                        return -errno;
                opened = open("/dev/null", O_RDWR | O_NOCTTY);
                if (opened < 0)
                        return -errno;
                if (opened != fd) {
                        /* The lowest free number is below @fd only if somebody closes descriptors behind our back. */
                        fd_close(opened);
                        return -EBADF;
                }
        }
        return 0;
}

int fd_read_full(int fd, void *data, size_t n) {
        size_t done = 0;

        while (done < n) {
                ssize_t got = read(fd, (uint8_t *)data + done, n - done);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        return FD_E_EOF;
                done += (size_t)got;
        }
        return 0;
}

/* What is read first; twice as much each time that it does not suffice. */
#define FD_READ_ALL_FIRST 4096

int fd_read_all(int fd, size_t n_max, char **ret_data, size_t *ret_n) {
        size_t n_allocated = n_max < FD_READ_ALL_FIRST ? n_max : FD_READ_ALL_FIRST, n = 0;
        _cleanup_free_ char *data = malloc(n_allocated + 1);

        if (!data)
                return -ENOMEM;
        for (;;) {
                /* The byte of the NUL, at the latest, shows whether there is more. */
                ssize_t got = read(fd, data + n, n_allocated + 1 - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
                if (n > n_max)
                        return FD_E_TOO_LONG;
                if (n > n_allocated) {
                        char *larger;

                        n_allocated = n_allocated > n_max / 2 ? n_max : n_allocated * 2;
                        larger = realloc(data, n_allocated + 1);
                        if (!larger)
                                return -ENOMEM;
                        data = larger;
                }
        }
        data[n] = '\0';
        *ret_data = steal_ptr(&data);
        *ret_n = n;
        return 0;
}

int fd_write_full(int fd, const void *data, size_t n) {
        size_t done = 0;

        while (done < n) {
                ssize_t put = write(fd, (const uint8_t *)data + done, n - done);

                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return -errno;
                done += (size_t)put;
        }
        return 0;
}
