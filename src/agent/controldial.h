/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the agent of a virtual machine comes to the control connection of a vsock link (doc/protocol.md, 5.5): it dials the
 * host until somebody is there. Who serves it there may start later than we, stop, and start again.
 *
 *   PAUSING -- its time comes --> DIALLING -- connected --> the caller's, until control_dial_pause()
 *      ^--------- not there -----------'
 *
 * A port of ours that an earlier connection has not given up is left out, and so is one from which nothing came back: the
 * host may believe that the earlier one is still there. What is in the way is logged when it changes, not each time.
 */
#pragma once

#include <stdint.h>

/** First and longest pause; it doubles in between. */
#define CONTROL_DIAL_PAUSE_MIN_USEC UINT64_C(100000)
#define CONTROL_DIAL_PAUSE_MAX_USEC UINT64_C(2000000)
/** How many ports are used, from VSOCK_PORT_CONTROL downwards: the kernel keeps one for eight seconds at most. */
#define CONTROL_DIAL_PORTS_N 64
/** control_dial_pause() - the host closed a connection before anything was said on it; otherwise an errno */
#define CONTROL_DIAL_CLOSED (-1)

enum {
        _CONTROL_DIAL_E_SUCCESS,
        CONTROL_DIAL_E_AGAIN, /* poll() fd for POLLOUT, if there is one, until next_usec */
};

typedef struct ControlDial {
        int fd;             /* DIALLING; -1: PAUSING */
        uint64_t next_usec; /* when to go on, though nothing has happened; UINT64_MAX: never */
        uint64_t pause_usec;
        uint32_t source_port;
        int said; /* what was logged last; 0: nothing */
} ControlDial;

/** control_dial_init() - PAUSING, and it is time */
void control_dial_init(ControlDial *dial);

/** control_dial_deinit() - give up; harmless when repeated */
void control_dial_deinit(ControlDial *dial);

/**
 * control_dial_run() - go on, as far as it goes without waiting
 * @ret_fd: does not block; the caller's
 *
 * Return: 0, CONTROL_DIAL_E_AGAIN, or a negative error.
 */
int control_dial_run(ControlDial *dial, uint64_t now_usec, int *ret_fd);

/**
 * control_dial_pause() - dial again, but not at once
 * @why: to be logged, if it is not what was logged last: CONTROL_DIAL_CLOSED, or an errno; 0: there is nothing to say
 */
void control_dial_pause(ControlDial *dial, uint64_t now_usec, int why);

/** control_dial_done() - the daemon has answered: pauses, ports and what was said begin anew */
void control_dial_done(ControlDial *dial);
