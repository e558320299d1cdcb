/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection of a `vchan` link (protocol specification, 3.9, 3.10, 3.13): the agent listens, the daemon on
 * the host dials.
 *
 *   LISTENING -- it dialled, our HELLO is sent --> HELLO -- its HELLO --> UP
 *       ^                                                                  |
 *       `-------------------- gone between two messages -------------------'
 *
 *   LISTENING  the daemon owes its connection
 *   HELLO      the daemon owes its HELLO, without a limit of time (1.5)
 *   UP         orders come, and go out: requests of local clients, ends of calls
 *
 * While there is something that the daemon does not take, nothing more is taken from it. What waits is then at most one
 * request and the ends of the calls that run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemonorder.h"
#include "vchan/endpoint.h"
#include "vchan/messages.h"

/** Payload of the largest message from a daemon. */
#define CONTROL_PAYLOAD_MAX (EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX)

enum {
        _CONTROL_E_SUCCESS,
        CONTROL_E_AGAIN,  /* nothing there now */
        CONTROL_E_HELLO,  /* its HELLO came: UP */
        CONTROL_E_LOST,   /* the daemon went away between two messages */
        CONTROL_E_BROKEN, /* it went away in one, or said what no daemon says; it has been logged */
        CONTROL_E_FAILED, /* we cannot listen; it has been logged */
};

typedef enum ControlState {
        CONTROL_STATE_LISTENING,
        CONTROL_STATE_HELLO,
        CONTROL_STATE_UP,
} ControlState;

typedef struct Control {
        const VchanPlace *place; /* not owned */
        ControlState state;
        VchanListener listener; /* LISTENING */
        Messages messages;      /* HELLO, UP */
        uint32_t version;       /* UP: the effective version */
} Control;

/** control_init() - nothing is opened yet. @place must outlive it */
void control_init(Control *control, const VchanPlace *place);

/** control_deinit() - close everything, remove the socket's file; harmless when repeated */
void control_deinit(Control *control);

/** control_listen() - give up a connection, if there is one, and listen. Return: 0 or CONTROL_E_FAILED */
int control_listen(Control *control);

/** control_poll_fd() - what to wait for: a new descriptor after control_listen() and control_accept() */
static inline int control_poll_fd(const Control *control) {
        return control->state == CONTROL_STATE_LISTENING ? control->listener.fd : control->messages.fd;
}

/** control_is_flushed() - is nothing left to send? Otherwise wait for room, and for nothing else */
static inline bool control_is_flushed(const Control *control) {
        return messages_is_flushed(&control->messages);
}

/** control_accept() - LISTENING to HELLO, if the daemon is there. Return: 0, CONTROL_E_AGAIN, or a negative error */
int control_accept(Control *control);

/**
 * control_receive() - the next message, in HELLO and UP
 * @ret_order: set for 0; points into *@control until the next call
 *
 * Return: 0, CONTROL_E_…, or a negative error.
 */
int control_receive(Control *control, DaemonOrder *ret_order);

/**
 * control_send() - send a whole message, now or as soon as there is room; only in UP
 *
 * A daemon that is gone is learned of by control_receive(). Return: 0 or a negative error.
 */
int control_send(Control *control, const void *data, size_t n);

/** control_terminated() - tell the daemon that a call is over (3.2, 3.11). Return: 0 or a negative error */
int control_terminated(Control *control, const ExecParams *params);

/** control_flush() - send what waits, as far as there is room. Return: 0 or a negative error */
int control_flush(Control *control);
