/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The callee's end of a framed data connection (protocol specification, 5): one call, run from HELLO to its last byte
 * in a process of its own, which has nothing else to do.
 *
 *      HELLO -- the caller's HELLO --> RUNNING -- all ends closed, child exited --> FINISHING -- flushed --> (done)
 *        |                                |                                            |
 *        `------ broken, or not the protocol ------> ORPHANED <------------------------'
 *                                                       `-- child exited --> (done)
 *
 * In RUNNING both directions are independent: each holds at most one chunk, and stops taking more until that chunk
 * is delivered. In ORPHANED the service has lost its ends and is waited for, without limit and without being killed
 * (5.8).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/call.h"

typedef struct DataCallee {
        int stream_fd; /* the connected stream socket; owned */

        /*
         * The service's ends, owned; -1: none. An executable service has socket pairs as in_fd and out_fd and a pipe as
         * err_fd; a socket service has in_fd == out_fd and no err_fd. Descriptors that are no sockets are closed where
         * a socket would be shut down. Their O_NONBLOCK flag does not matter and is not changed.
         */
        int in_fd;  /* writable: what we write is the service's stdin */
        int out_fd; /* readable: the service's stdout */
        int err_fd; /* readable: the service's stderr */

        int child_pidfd; /* the service, a child of this process; owned; -1: a socket service */

        const void *prefix; /* written to in_fd before the caller's data (service descriptor, 6.7); not owned */
        size_t n_prefix;

        bool is_host; /* we are the host, which says nothing before its caller's HELLO (2.6) */

        bool exit_on_client_eof;  /* 5.3, 6.3: socket services only */
        bool exit_on_service_eof; /* 5.3, 6.3: socket services only */

        /* A copy of what the service writes to stderr, for the log; must not block. NULL: none. */
        void (*on_stderr)(void *userdata, const void *untrusted_data, size_t n);

        /*
         * Something else to wait for, such as an order to end the service: a pollable descriptor (an epoll is one),
         * and what to call whenever it is readable. It must take the readiness away, or be called again at once.
         * Not owned; both in every state, ORPHANED included. -1 and NULL: nothing.
         */
        int watch_fd;
        void (*on_watch)(void *userdata);

        void *userdata;
} DataCallee;

/** A DataCallee without any descriptor: set what there is. */
#define DATA_CALLEE_INIT \
        ((DataCallee){ .stream_fd = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1, .child_pidfd = -1, .watch_fd = -1 })

typedef struct DataOutcome {
        int status;  /* 0 to 255: exit code of the child, 128 + signal, 0 for a socket service */
        CallHow how; /* EXITED, SIGNALLED; ABANDONED if the caller was not told the status */
} DataOutcome;

/**
 * data_callee_run() - run a call to its end (5.3, 5.7, 5.8)
 *
 * data_prepare() (data/prepare.h) must have been called before the service was started. Blocks until the call is over
 * and the child, if any, is reaped. All owned descriptors are closed, and -1, on return, whatever it is. A peer that
 * vanishes or breaks the protocol is an outcome (ABANDONED), not an error.
 *
 * Return: 0 or a negative error.
 */
int data_callee_run(DataCallee *callee, DataOutcome *ret_outcome);

/**
 * data_callee_fail() - tell the caller that nothing was started (5.10): both end-of-files, then the status
 * @stream_fd: owned, closed on return
 * @status:    127: no such service, 125: everything else
 *
 * Blocks for the handshake. Return: 0, also if the caller is gone, or a negative error.
 */
int data_callee_fail(int stream_fd, int status);

/** data_callee_fail_host() - the same in the order that a host has: stderr ends first (5.10) */
int data_callee_fail_host(int stream_fd, int status);

/** data_callee_detached() - answer JUST_EXEC (5.9): the status and nothing else; otherwise as data_callee_fail() */
int data_callee_detached(int stream_fd, int status);
