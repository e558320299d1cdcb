/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection with a daemon of upstream's kind (protocol specification, 3.9, 3.10, 3.13): over vchan the agent
 * listens and the daemon dials, over vsock the agent dials its host.
 *
 *   LISTENING -- it dialled --.
 *                              >-- our HELLO is sent --> HELLO -- its HELLO --> UP
 *   DIALLING -- connected ----'
 *       ^                                                  |                    |
 *       `------ gone (over vsock) -------------------------'                    |
 *       `------ gone between two messages, both; LISTENING over vchan ----------'
 *
 *   LISTENING  the daemon owes its connection
 *   DIALLING   the host owes somebody who answers (agent/controldial.h)
 *   HELLO      the daemon owes its HELLO, without a limit of time (1.5)
 *   UP         orders come, and go out: requests of local clients, ends of calls
 *
 * While there is something that the daemon does not take, nothing more is taken from it. What waits is then at most one
 * request and the ends of the calls that run, or that were about to begin.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/controldial.h"
#include "agent/daemonorder.h"
#include "agent/medium.h"
#include "agent/vchanwatch.h"
#include "vchan/endpoint.h"
#include "vchan/messages.h"

/** Payload of the largest message from a daemon. */
#define CONTROL_PAYLOAD_MAX (EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX)

enum {
        _CONTROL_E_SUCCESS,
        CONTROL_E_AGAIN,  /* nothing there now */
        CONTROL_E_HELLO,  /* its HELLO came: UP */
        CONTROL_E_LOST,   /* the daemon went away where it may; it has been logged: control_open() */
        CONTROL_E_BROKEN, /* it went away in one, or said what no daemon says; it has been logged */
        CONTROL_E_FAILED, /* we cannot listen; it has been logged */
};

typedef enum ControlState {
        CONTROL_STATE_LISTENING,
        CONTROL_STATE_DIALLING,
        CONTROL_STATE_HELLO,
        CONTROL_STATE_UP,
} ControlState;

typedef struct Control {
        const Medium *medium; /* not owned */
        int epoll_fd;         /* not owned */
        VchanWatch watch;
        int watched_fd; /* -1: nothing is watched */
        uint32_t watched_events;
        ControlState state;
        VchanListener listener; /* LISTENING */
        ControlDial dial;       /* DIALLING; it remembers what was before */
        Messages messages;      /* HELLO, UP */
        uint32_t version;       /* UP: the effective version */
} Control;

/** control_init() - nothing is opened yet. @medium must outlive it */
void control_init(Control *control, const Medium *medium, int epoll_fd);

/** control_deinit() - close everything, remove the socket's file; harmless when repeated */
void control_deinit(Control *control);

/** control_open() - give up a connection, if there is one; LISTENING or DIALLING. Return: 0 or CONTROL_E_FAILED */
int control_open(Control *control);

/** control_is_open() - is there a connection: HELLO or UP? */
static inline bool control_is_open(const Control *control) {
        return control->state == CONTROL_STATE_HELLO || control->state == CONTROL_STATE_UP;
}

/** control_deadline() - when control_establish() is due though nothing has happened; UINT64_MAX: never */
static inline uint64_t control_deadline(const Control *control) {
        return control->state == CONTROL_STATE_DIALLING ? control->dial.next_usec : UINT64_MAX;
}

/** control_watch() - before each wait: have an event of @watch for what is waited for. Return: 0 or a negative error */
int control_watch(Control *control);

/** control_is_flushed() - is nothing left to send? Otherwise wait for room, and for nothing else */
static inline bool control_is_flushed(const Control *control) {
        return messages_is_flushed(&control->messages);
}

/** control_establish() - LISTENING, DIALLING: to HELLO, if it is time for that. Return: 0, CONTROL_E_AGAIN, or a negative error */
int control_establish(Control *control, uint64_t now_usec);

/** control_begin() - LISTENING, DIALLING: to HELLO, with a connection, which is taken. Return: 0 or a negative error */
int control_begin(Control *control, int fd);

/**
 * control_receive() - the next message, in HELLO and UP
 * @now_usec:  from which a pause is counted before it is dialled again
 * @ret_order: set for 0; points into *@control until the next call
 *
 * Return: 0, CONTROL_E_…, or a negative error.
 */
int control_receive(Control *control, uint64_t now_usec, DaemonOrder *ret_order);

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
