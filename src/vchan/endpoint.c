/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/endpoint.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"

/** More than one dialler would never be served. */
#define VCHAN_BACKLOG 1

static int vchan_bind(const char *path, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        socklen_t n_address;

        if (socket_address(path, &address, &n_address))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        if (bind(fd, (struct sockaddr *)&address, n_address) < 0 || listen(fd, VCHAN_BACKLOG) < 0)
                return -errno;
        *ret_fd = fd_steal(&fd);
        return 0;
}

int vchan_listen(const VchanPlace *place, uint32_t client, uint32_t port, int *reterr_errno,
                 VchanListener *ret_listener) {
        VchanListener listener = VCHAN_LISTENER_INIT;
        int r = -ENAMETOOLONG;

        if (vchan_place_path(place, place->domain, client, port, listener.path) == 0)
                r = vchan_bind(listener.path, &listener.fd);
        if (r < 0) {
                *reterr_errno = -r;
                return VCHAN_E_FAILED;
        }
        *ret_listener = listener;
        return 0;
}

void vchan_listener_deinit(VchanListener *listener) {
        listener->fd = fd_close(listener->fd);
        if (listener->path[0] != '\0')
                (void)unlink(listener->path);
        listener->path[0] = '\0';
}

int vchan_accept(VchanListener *listener, int *ret_fd) {
        int fd;

        do
                fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        while (fd < 0 && errno == EINTR);
        /* One who dialled and went away again was not the one we wait for. */
        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
                return VCHAN_E_AGAIN;
        if (fd < 0)
                return error_origin(-errno);
        vchan_listener_deinit(listener);
        *ret_fd = fd;
        return 0;
}

/* Rounded up: an early wake-up costs a turn. Return: for poll(2) */
static int vchan_timeout(uint64_t usec) {
        uint64_t msec = usec / USEC_PER_MSEC + (usec % USEC_PER_MSEC > 0);

        return msec < INT_MAX ? (int)msec : INT_MAX;
}

int vchan_accept_until(VchanListener *listener, uint64_t deadline_usec, int *ret_fd) {
        for (;;) {
                struct pollfd poll_fd = { .fd = listener->fd, .events = POLLIN };
                uint64_t now_usec;
                int timeout, r;

                r = vchan_accept(listener, ret_fd);
                if (r != VCHAN_E_AGAIN)
                        return r;
                now_usec = clock_now();
                if (now_usec >= deadline_usec)
                        return VCHAN_E_TIMEOUT;
                timeout = deadline_usec == UINT64_MAX ? -1 : vchan_timeout(deadline_usec - now_usec);
                if (poll(&poll_fd, 1, timeout) < 0 && errno != EINTR)
                        return error_origin(-errno);
        }
}

/* Nobody there, or (EAGAIN) somebody who has not yet taken the one that came before us. */
static bool vchan_is_absent(int error) {
        return error == ENOENT || error == ECONNREFUSED || error == EAGAIN;
}

int vchan_dial(const VchanPlace *place, uint32_t server, uint32_t port, int *reterr_errno, int *ret_fd) {
        char path[VCHAN_PATH_MAX];
        int r = -ENAMETOOLONG;

        if (vchan_place_path(place, server, place->domain, port, path) == 0)
                r = socket_connect(path, SOCK_STREAM | SOCK_NONBLOCK, ret_fd);
        if (r < 0 && vchan_is_absent(-r))
                return VCHAN_E_AGAIN;
        if (r) {
                *reterr_errno = r < 0 ? -r : ENAMETOOLONG;
                return VCHAN_E_FAILED;
        }
        return 0;
}

int vchan_dial_until(const VchanPlace *place, uint32_t server, uint32_t port, uint64_t deadline_usec, int *reterr_errno,
                     int *ret_fd) {
        uint64_t wait_usec = VCHAN_RETRY_MIN_USEC;

        for (;;) {
                uint64_t now_usec;
                int r;

                r = vchan_dial(place, server, port, reterr_errno, ret_fd);
                if (r != VCHAN_E_AGAIN)
                        return r;
                now_usec = clock_now();
                if (now_usec >= deadline_usec)
                        return VCHAN_E_TIMEOUT;
                if (wait_usec > deadline_usec - now_usec)
                        wait_usec = deadline_usec - now_usec;
                (void)poll(NULL, 0, vchan_timeout(wait_usec));
                wait_usec = wait_usec * 2 < VCHAN_RETRY_MAX_USEC ? wait_usec * 2 : VCHAN_RETRY_MAX_USEC;
        }
}
