/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dial the host over vsock, for the data of a call (doc/protocol.md, 5.5). The daemon has given the call a port of ours, and
 * the connection that had it before may be ending yet: here, where it keeps the port, or at the host, where a new one goes
 * to nobody as long as there is the old one. So it is tried again, until its time is over. So it is, for a moment, where the host resets
 * the connection: others, who need not be root and not be of this guest, may have filled its queue. Every other error is the end.
 *
 *   PAUSING -- its time comes --> DIALLING -- connected --> the caller's
 *      ^---------- taken ------------'  `---- any other error, or too late --> FAILED
 */
#pragma once

#include <stdint.h>

/** Between two attempts. */
#define HOST_DIAL_PAUSE_USEC UINT64_C(20000)
/** From the first reset: what a host at which nobody listens costs a client. */
#define HOST_DIAL_RESET_USEC UINT64_C(1000000)

enum {
        _HOST_DIAL_E_SUCCESS,
        HOST_DIAL_E_PROGRESS, /* poll() fd for POLLOUT, if there is one, until host_dial_due() */
        HOST_DIAL_E_FAILED,
};

typedef struct HostDial {
        uint32_t source_port, port;
        uint64_t deadline_usec;
        int fd;              /* DIALLING; -1: PAUSING */
        uint64_t next_usec;  /* PAUSING: when it is tried again */
        uint64_t reset_usec; /* when a reset is the end; 0: there was none */
} HostDial;

/** HOST_DIAL_INIT() - not begun; @_deadline_usec is by clock_now(). It tries once at least, and once more when its time is over */
#define HOST_DIAL_INIT(_source_port, _port, _deadline_usec) \
        ((HostDial){ .source_port = (_source_port), .port = (_port), .deadline_usec = (_deadline_usec), .fd = -1 })

/** host_dial_deinit() - give up; harmless when repeated */
void host_dial_deinit(HostDial *dial);

/** host_dial_due() - when to go on, though nothing has happened */
static inline uint64_t host_dial_due(const HostDial *dial) {
        return dial->fd < 0 && dial->next_usec < dial->deadline_usec ? dial->next_usec : dial->deadline_usec;
}

/**
 * host_dial_run() - go on, as far as it goes without waiting
 * @reterr_errno: receives why, on HOST_DIAL_E_FAILED: EADDRINUSE or ETIMEDOUT when its time is over
 * @ret_fd:       does not block; the caller's
 *
 * Return: 0, HOST_DIAL_E_…, or a negative error.
 */
int host_dial_run(HostDial *dial, uint64_t now_usec, int *reterr_errno, int *ret_fd);

/**
 * host_dial_finish() - what has become of a vsock_dial() that returned VSOCK_E_PROGRESS
 *
 * Return: 0, VSOCK_E_PROGRESS (not yet), VSOCK_E_FAILED (@reterr_errno; the descriptor stays the caller's), or a negative error.
 */
int host_dial_finish(int fd, int *reterr_errno);

/**
 * host_dial_wait() - as host_dial_run(), and wait for its end: for a process that has nothing else to do
 *
 * Return: 0, HOST_DIAL_E_FAILED, or a negative error.
 */
int host_dial_wait(HostDial *dial, int *reterr_errno, int *ret_fd);
