/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"

/*
 * connect(2) with a limit. The kernel takes SO_SNDTIMEO for it, on Unix sockets (whose backlog may be full) and on
 * TCP; afterwards it is unset, since it would hold for writes too.
 */
static int dial_connect(int fd, const struct sockaddr *address, socklen_t n_address, uint64_t limit_usec,
                        int *reterr_errno) {
        struct timeval limit = { .tv_sec = (time_t)(limit_usec / USEC_PER_SEC),
                                 .tv_usec = (suseconds_t)(limit_usec % USEC_PER_SEC) };
        struct timeval none = {};

        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return error_origin(-errno);
        if (connect(fd, address, n_address) < 0) {
                /* Out of time is EAGAIN or EINPROGRESS here, which nobody would understand. */
                *reterr_errno = errno == EAGAIN || errno == EINPROGRESS ? ETIMEDOUT : errno;
                return DIAL_E_FAILED;
        }
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none)) < 0)
                return error_origin(-errno);
        return 0;
}

int dial_unix(const char *path, uint64_t limit_usec, int *reterr_errno, int *ret_fd) {
        _cleanup_fd_ int fd = -1, path_fd = -1;
        struct sockaddr_un address;
        socklen_t n_address;
        int r;

        if (socket_address(path, &address, &n_address)) {
                char shorter[32];

                /* connect(2) follows the link to the very socket that O_PATH found. */
                path_fd = open(path, O_PATH | O_CLOEXEC);
                if (path_fd < 0) {
                        *reterr_errno = errno;
                        return DIAL_E_FAILED;
                }
                snprintf(shorter, sizeof(shorter), "/proc/self/fd/%d", path_fd);
                r = socket_address(shorter, &address, &n_address);
                if (r)
                        return error_fold(r);
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_origin(-errno);
        r = dial_connect(fd, (const struct sockaddr *)&address, n_address, limit_usec, reterr_errno);
        if (r)
                return r;
        *ret_fd = fd_steal(&fd);
        return 0;
}

int dial_tcp(const TcpAddress *address, uint64_t limit_usec, int *reterr_errno, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_storage storage;
        socklen_t n_storage;
        int on = 1, r;

        if (tcp_address_resolve(address, &storage, &n_storage)) {
                *reterr_errno = ENODEV;
                return DIAL_E_FAILED;
        }
        fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
        if (fd < 0) {
                /* A machine without IPv6, or a sandbox without a network. */
                *reterr_errno = errno;
                return DIAL_E_FAILED;
        }
        r = dial_connect(fd, (const struct sockaddr *)&storage, n_storage, limit_usec, reterr_errno);
        if (r)
                return r;
        /* We pass on what others wrote, in their pieces: waiting for more would only delay them. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        *ret_fd = fd_steal(&fd);
        return 0;
}
