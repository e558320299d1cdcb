/* SPDX-License-Identifier: Apache-2.0 */
#include "base/socket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16; Debian 12's headers do not have it yet */
#endif

int socket_address(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_n) {
        size_t n = strlen(path);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (n == 0 || n >= sizeof(address.sun_path))
                return SOCKET_E_PATH;
        memcpy(address.sun_path, path, n + 1);
        *ret_address = address;
        *ret_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
        return 0;
}

int socket_connect(const char *path, int type, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        socklen_t n_address;
        int r;

        r = socket_address(path, &address, &n_address);
        if (r)
                return r;
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        do
                r = connect(fd, (struct sockaddr *)&address, n_address);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return -errno;
        *ret_fd = fd_steal(&fd);
        return 0;
}

int socket_send(int fd, const void *data, size_t n, const int *fds, size_t n_fds, size_t *ret_n_sent) {
        struct iovec iov = { .iov_base = (void *)data, .iov_len = n };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        union {
                struct cmsghdr header;
                char data[CMSG_SPACE(SOCKET_FDS_MAX * sizeof(int))];
        } control = {};
        ssize_t sent;

        if (n_fds > SOCKET_FDS_MAX)
                return error_origin(-EINVAL);
        if (n_fds > 0) {
                struct cmsghdr *cmsg;

                message.msg_control = control.data;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                cmsg = CMSG_FIRSTHDR(&message);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
        }

        do
                sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        if (sent < 0) {
                switch (errno) {
                case EAGAIN:
                        return SOCKET_E_AGAIN;
                case EPIPE:
                case ECONNRESET:
                case ENOTCONN:
                case EPERM: /* the peer takes no descriptors (SO_PASSRIGHTS) */
                        return SOCKET_E_GONE;
                case EMFILE:
                case ENFILE:
                case ENOBUFS:
                case ENOMEM:
                case ETOOMANYREFS:
                        return SOCKET_E_LIMIT;
                default:
                        return error_origin(-errno);
                }
        }
        if (ret_n_sent)
                *ret_n_sent = (size_t)sent;
        return 0;
}

static size_t socket_take_fds(struct msghdr *message, int *ret_fds, size_t n_fds_max) {
        size_t n_fds = 0;

        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
                size_t n;

                if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; ++i) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
                        if (n_fds < n_fds_max)
                                ret_fds[n_fds++] = fd;
                        else
                                fd_close(fd);
                }
        }
        return n_fds;
}

static int socket_receive_failed(void) {
        switch (errno) {
        case EAGAIN:
                return SOCKET_E_AGAIN;
        case ECONNRESET:
        case EPIPE:
        case ENOTCONN:
                return SOCKET_E_GONE;
        default:
                return error_origin(-errno);
        }
}

static int socket_receive_message(int fd, int flags, void *data, size_t n, size_t *ret_n, int *ret_fds,
                                  size_t n_fds_max, size_t *ret_n_fds, bool *ret_lost) {
        struct iovec iov = { .iov_base = data, .iov_len = n };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        union {
                struct cmsghdr header;
                char data[CMSG_SPACE(SOCKET_FDS_MAX * sizeof(int))];
        } control = {};
        int fds[SOCKET_FDS_MAX];
        size_t n_fds = 0;
        ssize_t got;

        if (n_fds_max > SOCKET_FDS_MAX)
                return error_origin(-EINVAL);
        if (n_fds_max > 0) {
                /* CMSG_SPACE() rounds up: it would offer room for a descriptor more where @n_fds_max is odd. */
                message.msg_control = control.data;
                message.msg_controllen = CMSG_LEN(n_fds_max * sizeof(int));
        }

        do
                got = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return socket_receive_failed();
        if (n_fds_max > 0)
                n_fds = socket_take_fds(&message, fds, n_fds_max);
        if (message.msg_flags & MSG_TRUNC || (!ret_lost && n_fds_max > 0 && message.msg_flags & MSG_CTRUNC)) {
                for (size_t i = 0; i < n_fds; ++i)
                        fd_close(fds[i]);
                return SOCKET_E_TRUNCATED;
        }
        if (got == 0) {
                for (size_t i = 0; i < n_fds; ++i)
                        fd_close(fds[i]);
                return SOCKET_E_EOF;
        }

        *ret_n = (size_t)got;
        if (n_fds_max > 0) {
                memcpy(ret_fds, fds, n_fds * sizeof(int));
                *ret_n_fds = n_fds;
        }
        if (ret_lost)
                *ret_lost = n_fds_max > 0 && message.msg_flags & MSG_CTRUNC;
        return 0;
}

int socket_receive(int fd, void *data, size_t n, size_t *ret_n, int *ret_fds, size_t n_fds_max, size_t *ret_n_fds) {
        return socket_receive_message(fd, MSG_DONTWAIT, data, n, ret_n, ret_fds, n_fds_max, ret_n_fds, NULL);
}

int socket_receive_wait(int fd, void *data, size_t n, size_t *ret_n, int *ret_fds, size_t n_fds_max,
                        size_t *ret_n_fds) {
        return socket_receive_message(fd, 0, data, n, ret_n, ret_fds, n_fds_max, ret_n_fds, NULL);
}

int socket_receive_partial(int fd, void *data, size_t n, size_t *ret_n, int *ret_fds, size_t n_fds_max,
                           size_t *ret_n_fds, bool *ret_lost) {
        return socket_receive_message(fd, MSG_DONTWAIT, data, n, ret_n, ret_fds, n_fds_max, ret_n_fds, ret_lost);
}

static int socket_receive_messages(int fd, struct mmsghdr *messages, unsigned n_max) {
        int n;

        do
                n = recvmmsg(fd, messages, n_max, MSG_DONTWAIT, NULL);
        while (n < 0 && errno == EINTR);
        return n;
}

int socket_receive_packets(int fd, void *data, size_t n_each, size_t n_max, size_t *ret_sizes, size_t *ret_n) {
        struct mmsghdr messages[SOCKET_PACKETS_MAX] = {};
        struct iovec iov[SOCKET_PACKETS_MAX];
        int n;

        if (n_max == 0 || n_max > SOCKET_PACKETS_MAX)
                return error_origin(-EINVAL);
        for (size_t i = 0; i < n_max; ++i) {
                iov[i] = (struct iovec){ .iov_base = (uint8_t *)data + i * n_each, .iov_len = n_each };
                messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
        }
        n = socket_receive_messages(fd, messages, (unsigned)n_max);
        /* A peer that closed with packets of ours unread: that is said first, and once. */
        if (n < 0 && errno == ECONNRESET)
                n = socket_receive_messages(fd, messages, (unsigned)n_max);
        if (n < 0)
                return socket_receive_failed();
        for (size_t i = 0; i < (size_t)n; ++i)
                ret_sizes[i] = messages[i].msg_len;
        *ret_n = (size_t)n;
        return 0;
}

int socket_peer(int fd, struct ucred *ret_credentials) {
        struct ucred credentials;
        socklen_t n = sizeof(credentials);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) < 0)
                return error_origin(-errno);
        *ret_credentials = credentials;
        return 0;
}

bool socket_refuse_rights(int fd) {
        int off = 0;

        return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off)) == 0;
}
