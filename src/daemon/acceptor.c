/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"

/* Between two attempts to reach a supervisor that is not there, or has no ports for us. */
#define ACCEPTOR_RETRY_MIN_USEC (100 * USEC_PER_MSEC)
#define ACCEPTOR_RETRY_MAX_USEC (2 * USEC_PER_SEC)

bool acceptor_is_guests(const VsockPeer *peer, uint32_t cid) {
        return vsock_peer_purpose(peer) == VSOCK_PURPOSE_DATA && peer->cid == cid;
}

static int acceptor_watch(Acceptor *acceptor, int operation, int *fd) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = fd };

        return epoll_ctl(acceptor->epoll_fd, operation, *fd, &event) < 0 ? error_origin(-errno) : 0;
}

static int acceptor_set_timer(Acceptor *acceptor, uint64_t usec) {
        struct itimerspec when = { .it_value = { .tv_sec = (time_t)(usec / USEC_PER_SEC),
                                                 .tv_nsec = (long)(usec % USEC_PER_SEC) * 1000 } };

        return timerfd_settime(acceptor->timer_fd, 0, &when, NULL) < 0 ? error_origin(-errno) : 0;
}

int acceptor_init(Acceptor *acceptor, const DaemonSettings *settings) {
        int r;

        *acceptor = ACCEPTOR_INIT;
        acceptor->path = settings->vsock;
        acceptor->retry_usec = ACCEPTOR_RETRY_MIN_USEC;
        acceptor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        acceptor->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (acceptor->epoll_fd < 0 || acceptor->timer_fd < 0)
                return error_origin(-errno);
        r = acceptor_watch(acceptor, EPOLL_CTL_ADD, &acceptor->timer_fd);
        /* At once. */
        return !r && acceptor->path ? acceptor_set_timer(acceptor, 1) : r;
}

void acceptor_deinit(Acceptor *acceptor) {
        acceptor->fd = fd_close(acceptor->fd);
        acceptor->data_fd = fd_close(acceptor->data_fd);
        acceptor->timer_fd = fd_close(acceptor->timer_fd);
        acceptor->epoll_fd = fd_close(acceptor->epoll_fd);
}

/* --- data ------------------------------------------------------------------------------------------------------- */

int acceptor_next_data(Acceptor *acceptor, Arrival *ret_arrival) {
        int r;

        if (acceptor->data_fd < 0)
                return ACCEPTOR_E_AGAIN;
        r = vsock_accept(acceptor->data_fd, &ret_arrival->peer, &ret_arrival->fd);
        switch (r) {
        case 0:
                ret_arrival->purpose = VSOCK_PURPOSE_DATA;
                return 0;
        case VSOCK_E_AGAIN:
                return ACCEPTOR_E_AGAIN;
        case VSOCK_E_LIMIT:
                if (acceptor->data_waits)
                        return ACCEPTOR_E_AGAIN;
                log_warning("out of descriptors: data connections wait");
                acceptor->data_waits = true;
                r = acceptor_watch(acceptor, EPOLL_CTL_DEL, &acceptor->data_fd);
                r = r ?: acceptor_set_timer(acceptor, ACCEPTOR_RETRY_MIN_USEC);
                return r ?: ACCEPTOR_E_AGAIN;
        default:
                return error_fold(r);
        }
}

/* Return: 0 or a negative error */
static int acceptor_forget_data(Acceptor *acceptor) {
        for (int i = 0; i < ACCEPTOR_DRAIN_MAX; ++i) {
                Arrival arrival;
                int r;

                r = acceptor_next_data(acceptor, &arrival);
                if (r)
                        return r == ACCEPTOR_E_AGAIN ? 0 : r;
                fd_close(arrival.fd);
        }
        return 0;
}

/* --- the supervisor ------------------------------------------------------------------------------------------------ */

/* Return: 0 or a negative error */
static int acceptor_lose(Acceptor *acceptor) {
        int r;

        /* A worker that was just forked may hold a copy for a moment: closing alone would not end the events. */
        if (acceptor->fd >= 0)
                (void)epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_DEL, acceptor->fd, NULL);
        acceptor->fd = fd_close(acceptor->fd);
        r = acceptor_set_timer(acceptor, acceptor->retry_usec);
        acceptor->retry_usec *= 2;
        if (acceptor->retry_usec > ACCEPTOR_RETRY_MAX_USEC)
                acceptor->retry_usec = ACCEPTOR_RETRY_MAX_USEC;
        return r;
}

/* Return: 0 or a negative error */
static int acceptor_connect(Acceptor *acceptor) {
        int r;

        r = socket_connect(acceptor->path, SOCK_SEQPACKET | SOCK_NONBLOCK, &acceptor->fd);
        if (!r)
                return acceptor_watch(acceptor, EPOLL_CTL_ADD, &acceptor->fd);
        if (acceptor->retry_usec < ACCEPTOR_RETRY_MAX_USEC)
                log_warning("%s: %s: tried again", acceptor->path, r < 0 ? strerror(-r) : "too long");
        return acceptor_lose(acceptor);
}

/* One is enough, and what the guest was told of it stays true. Takes the descriptor. Return: 0 or a negative error */
static int acceptor_take_data(Acceptor *acceptor, int gift_fd) {
        _cleanup_fd_ int fd = gift_fd;
        uint32_t port;
        int r;

        if (vsock_listener_port(fd, &port) || !vsock_port_is_listener(port)) {
                log_error("%s: what was given is no listener of vsock below port 512", acceptor->path);
                return acceptor_lose(acceptor);
        }
        acceptor->retry_usec = ACCEPTOR_RETRY_MIN_USEC;
        if (acceptor->data_fd >= 0)
                return 0;
        acceptor->data_fd = fd_steal(&fd);
        acceptor->data_port = port;
        log_info("data of the domain comes to port %u of vsock", port);
        r = acceptor_watch(acceptor, EPOLL_CTL_ADD, &acceptor->data_fd);
        return r ?: acceptor_forget_data(acceptor);
}

/* Takes the descriptor. Return: 0: @ret_arrival is set; ACCEPTOR_E_AGAIN, or a negative error */
static int acceptor_take_control(Acceptor *acceptor, int gift_fd, Arrival *ret_arrival) {
        _cleanup_fd_ int fd = gift_fd;

        if (acceptor->data_fd < 0 || vsock_connection_peer(fd, &ret_arrival->peer) ||
            vsock_peer_purpose(&ret_arrival->peer) != VSOCK_PURPOSE_CONTROL) {
                log_error("%s: what was given is no control connection of a virtual machine", acceptor->path);
                return acceptor_lose(acceptor) ?: ACCEPTOR_E_AGAIN;
        }
        ret_arrival->purpose = VSOCK_PURPOSE_CONTROL;
        ret_arrival->fd = fd_steal(&fd);
        return 0;
}

/* Return: as acceptor_next() */
static int acceptor_receive(Acceptor *acceptor, Arrival *ret_arrival) {
        _cleanup_fd_ int fd = -1;
        size_t n, n_fds = 0;
        char gift;
        int r;

        r = socket_receive(acceptor->fd, &gift, 1, &n, &fd, 1, &n_fds);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return ACCEPTOR_E_AGAIN;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                return acceptor_lose(acceptor) ?: ACCEPTOR_E_AGAIN;
        case SOCKET_E_TRUNCATED:
                n_fds = 0;
                break;
        default:
                return error_fold(r);
        }
        if (n_fds == 1 && gift == VSOCK_GIFT_DATA)
                return acceptor_take_data(acceptor, fd_steal(&fd)) ?: ACCEPTOR_E_AGAIN;
        if (n_fds == 1 && gift == VSOCK_GIFT_CONTROL)
                return acceptor_take_control(acceptor, fd_steal(&fd), ret_arrival);
        log_error("%s: what was said there is not understood, or came without its descriptor", acceptor->path);
        return acceptor_lose(acceptor) ?: ACCEPTOR_E_AGAIN;
}

/* Return: 0 or a negative error */
static int acceptor_on_timer(Acceptor *acceptor) {
        uint64_t n;
        int r = 0;

        if (read(acceptor->timer_fd, &n, sizeof(n)) != sizeof(n))
                return 0;
        if (acceptor->data_waits) {
                acceptor->data_waits = false;
                r = acceptor_watch(acceptor, EPOLL_CTL_ADD, &acceptor->data_fd);
        }
        return !r && acceptor->fd < 0 ? acceptor_connect(acceptor) : r;
}

int acceptor_next(Acceptor *acceptor, Arrival *ret_arrival) {
        struct epoll_event event;
        int n;

        n = epoll_wait(acceptor->epoll_fd, &event, 1, 0);
        if (n < 0 && errno != EINTR)
                return error_origin(-errno);
        if (n <= 0)
                return ACCEPTOR_E_AGAIN;
        if (event.data.ptr == &acceptor->timer_fd)
                return acceptor_on_timer(acceptor) ?: ACCEPTOR_E_AGAIN;
        return event.data.ptr == &acceptor->fd ? acceptor_receive(acceptor, ret_arrival)
                                               : acceptor_next_data(acceptor, ret_arrival);
}
