/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
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

int dial_address_unix(const char *path, int *reterr_errno, DialAddress *ret_address) {
        DialAddress address = DIAL_ADDRESS_INIT;
        char shorter[32];
        int r;

        if (socket_address(path, &address.un, &address.n)) {
                /* connect(2) follows the link to the very socket that O_PATH found. */
                address.path_fd = open(path, O_PATH | O_CLOEXEC);
                if (address.path_fd < 0) {
                        *reterr_errno = errno;
                        return DIAL_E_FAILED;
                }
                snprintf(shorter, sizeof(shorter), "/proc/self/fd/%d", address.path_fd);
                r = socket_address(shorter, &address.un, &address.n);
                if (r) {
                        dial_address_deinit(&address);
                        return error_fold(r);
                }
        }
        *ret_address = address;
        return 0;
}

int dial_address_tcp(const TcpAddress *tcp, int *reterr_errno, DialAddress *ret_address) {
        DialAddress address = DIAL_ADDRESS_INIT;
        struct sockaddr_storage storage;

        if (tcp_address_resolve(tcp, &storage, &address.n)) {
                *reterr_errno = ENODEV;
                return DIAL_E_FAILED;
        }
        memcpy(&address.any, &storage, address.n);
        *ret_address = address;
        return 0;
}

void dial_address_deinit(DialAddress *address) {
        address->path_fd = fd_close(address->path_fd);
}

/* A machine without IPv6, or a sandbox without a network, fails here, as without descriptors. */
static int dial_open(const DialAddress *address, int type, int *reterr_errno, int *ret_fd) {
        int on = 1, fd;

        fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | type, 0);
        if (fd < 0) {
                *reterr_errno = errno;
                return DIAL_E_FAILED;
        }
        /* We pass on what others wrote, in their pieces: waiting for more would only delay them. */
        if (address->any.sa_family != AF_UNIX)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        *ret_fd = fd;
        return 0;
}

int dial_start(const DialAddress *address, int *reterr_errno, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        int r;

        r = dial_open(address, SOCK_NONBLOCK, reterr_errno, &fd);
        if (r)
                return r;
        if (connect(fd, &address->any, address->n) == 0) {
                *ret_fd = fd_steal(&fd);
                return 0;
        }
        if (errno == EINPROGRESS || errno == EINTR) {
                *ret_fd = fd_steal(&fd);
                return DIAL_E_PROGRESS;
        }
        /* TCP says EAGAIN when it is out of ports, which comes to the same. */
        if (errno == EAGAIN)
                return DIAL_E_AGAIN;
        *reterr_errno = errno;
        return DIAL_E_FAILED;
}

int dial_finish(int fd, int *reterr_errno) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
        socklen_t n = sizeof(int);
        int error = 0;

        if (poll(&poll_fd, 1, 0) == 0)
                return DIAL_E_PROGRESS;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
                return error_origin(-errno);
        *reterr_errno = error;
        return error ? DIAL_E_FAILED : 0;
}

int dial_wait(const DialAddress *address, uint64_t limit_usec, int *reterr_errno, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct timeval limit = { .tv_sec = (time_t)(limit_usec / USEC_PER_SEC),
                                 .tv_usec = (suseconds_t)(limit_usec % USEC_PER_SEC) };
        struct timeval none = {};
        int r;

        r = dial_open(address, 0, reterr_errno, &fd);
        if (r)
                return r;
        /*
         * The kernel takes SO_SNDTIMEO for connect(2), on Unix sockets (whose backlog may be full) and on TCP; afterwards
         * it is unset, since it would hold for writes too.
         */
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return error_origin(-errno);
        if (connect(fd, &address->any, address->n) < 0) {
                /* Out of time is EAGAIN or EINPROGRESS here, which nobody would understand. */
                *reterr_errno = errno == EAGAIN || errno == EINPROGRESS ? ETIMEDOUT : errno;
                return DIAL_E_FAILED;
        }
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none)) < 0)
                return error_origin(-errno);
        *ret_fd = fd_steal(&fd);
        return 0;
}
