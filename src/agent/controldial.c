/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/controldial.h"

#include <errno.h>
#include <string.h>

#include "agent/hostdial.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vchan/vsock.h"

void control_dial_init(ControlDial *dial) {
        *dial = (ControlDial){ .fd = -1 };
        control_dial_done(dial);
}

void control_dial_deinit(ControlDial *dial) {
        dial->fd = fd_close(dial->fd);
}

void control_dial_done(ControlDial *dial) {
        dial->next_usec = 0;
        dial->pause_usec = CONTROL_DIAL_PAUSE_MIN_USEC;
        dial->source_port = VSOCK_PORT_CONTROL;
        dial->said = 0;
}

static const char *control_dial_text(int why) {
        switch (why) {
        case CONTROL_DIAL_CLOSED:
                return "it closed the connection: no domain there has this machine's context id, or its qrexec-daemon "
                       "does not run";
        case ENODEV:
        case EAFNOSUPPORT:
                return "this machine has no vsock device, or no driver for it";
        case ECONNRESET:
                return "nobody listens there: no domain of that host has a link over vsock";
        default:
                return strerror(why);
        }
}

void control_dial_pause(ControlDial *dial, uint64_t now_usec, int why) {
        control_dial_deinit(dial);
        if (why != 0 && why != dial->said)
                log_warning("cannot reach the daemon, at port %u of the host: %s; trying again",
                            (unsigned)VSOCK_PORT_CONTROL, control_dial_text(why));
        dial->said = why;
        dial->next_usec = now_usec + dial->pause_usec;
        dial->pause_usec *= 2;
        if (dial->pause_usec > CONTROL_DIAL_PAUSE_MAX_USEC)
                dial->pause_usec = CONTROL_DIAL_PAUSE_MAX_USEC;
}

static void control_dial_next_port(ControlDial *dial) {
        --dial->source_port;
        if (dial->source_port == VSOCK_PORT_CONTROL - CONTROL_DIAL_PORTS_N)
                dial->source_port = VSOCK_PORT_CONTROL;
}

/* Return: 0, VSOCK_E_PROGRESS or VSOCK_E_FAILED */
static int control_dial_begin(ControlDial *dial, int *reterr_errno) {
        for (unsigned i = 0; i < CONTROL_DIAL_PORTS_N; ++i) {
                int r;

                r = vsock_dial(dial->source_port, VSOCK_PORT_CONTROL, reterr_errno, &dial->fd);
                if (r != VSOCK_E_TAKEN)
                        return r;
                control_dial_next_port(dial);
        }
        return VSOCK_E_FAILED;
}

/* Return: as host_dial_finish() */
static int control_dial_finish(ControlDial *dial, int *reterr_errno) {
        int r;

        r = host_dial_finish(dial->fd, reterr_errno);
        if (r == VSOCK_E_FAILED && *reterr_errno == ETIMEDOUT)
                control_dial_next_port(dial);
        return r;
}

int control_dial_run(ControlDial *dial, uint64_t now_usec, int *ret_fd) {
        int error = 0, r;

        if (dial->fd < 0 && now_usec < dial->next_usec)
                return CONTROL_DIAL_E_AGAIN;
        r = dial->fd < 0 ? control_dial_begin(dial, &error) : control_dial_finish(dial, &error);
        switch (r) {
        case 0:
                dial->next_usec = UINT64_MAX;
                *ret_fd = fd_steal(&dial->fd);
                return 0;
        case VSOCK_E_PROGRESS:
                dial->next_usec = UINT64_MAX; /* the kernel has a limit of its own, two seconds */
                return CONTROL_DIAL_E_AGAIN;
        case VSOCK_E_FAILED:
                control_dial_pause(dial, now_usec, error);
                return CONTROL_DIAL_E_AGAIN;
        default:
                return error_fold(r);
        }
}
