/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hostdial.h"

#include <errno.h>
#include <poll.h>

#include "agent/dial.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "vchan/vsock.h"

void host_dial_deinit(HostDial *dial) {
        dial->fd = fd_close(dial->fd);
}

int host_dial_finish(int fd, int *reterr_errno) {
        int r;

        r = dial_finish(fd, reterr_errno);
        switch (r) {
        case 0:
                return 0;
        case DIAL_E_PROGRESS:
                return VSOCK_E_PROGRESS;
        case DIAL_E_FAILED:
                return VSOCK_E_FAILED;
        default:
                return error_fold(r);
        }
}

/*
 * Nobody listens, or too many have dialled at this moment, whoever they are: the first one lasts, the second does not.
 * Return: VSOCK_E_TAKEN or VSOCK_E_FAILED
 */
static int host_dial_on_reset(HostDial *dial, uint64_t now_usec) {
        if (dial->reset_usec == 0)
                dial->reset_usec = now_usec + HOST_DIAL_RESET_USEC;
        return now_usec < dial->reset_usec ? VSOCK_E_TAKEN : VSOCK_E_FAILED;
}

/* Return: 0, VSOCK_E_…, or a negative error */
static int host_dial_try(HostDial *dial, int *reterr_errno) {
        int r;

        if (dial->fd < 0)
                return vsock_dial(dial->source_port, dial->port, reterr_errno, &dial->fd);
        r = host_dial_finish(dial->fd, reterr_errno);
        if (r == VSOCK_E_FAILED) {
                dial->fd = fd_close(dial->fd);
                /* What the kernel says after two seconds without an answer. */
                if (*reterr_errno == ETIMEDOUT)
                        return VSOCK_E_TAKEN;
        }
        return r;
}

int host_dial_run(HostDial *dial, uint64_t now_usec, int *reterr_errno, int *ret_fd) {
        int error = 0, r;

        if (dial->fd < 0 && now_usec < host_dial_due(dial))
                return HOST_DIAL_E_PROGRESS;
        r = host_dial_try(dial, &error);
        if (r == VSOCK_E_FAILED && error == ECONNRESET)
                r = host_dial_on_reset(dial, now_usec);
        switch (r) {
        case 0:
                *ret_fd = fd_steal(&dial->fd);
                return 0;
        case VSOCK_E_PROGRESS:
                error = ETIMEDOUT;
                break;
        case VSOCK_E_TAKEN:
                dial->next_usec = now_usec + HOST_DIAL_PAUSE_USEC;
                break;
        case VSOCK_E_FAILED:
                *reterr_errno = error;
                return HOST_DIAL_E_FAILED;
        default:
                return error_fold(r);
        }
        if (now_usec < dial->deadline_usec)
                return HOST_DIAL_E_PROGRESS;
        host_dial_deinit(dial);
        *reterr_errno = error;
        return HOST_DIAL_E_FAILED;
}

int host_dial_wait(HostDial *dial, int *reterr_errno, int *ret_fd) {
        for (;;) {
                struct pollfd poll_fd = { .events = POLLOUT };
                int r;

                r = host_dial_run(dial, clock_now(), reterr_errno, ret_fd);
                if (r != HOST_DIAL_E_PROGRESS)
                        return r;
                poll_fd.fd = dial->fd;
                if (poll(&poll_fd, 1, clock_timeout(host_dial_due(dial), clock_now())) < 0 && errno != EINTR)
                        return error_origin(-errno);
        }
}
