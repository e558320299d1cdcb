/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's end of a framed data connection (protocol specification, 5): what qrexec-client-vm and qrexec-client do
 * once they have a stream.
 *
 *      HELLO -- the callee's HELLO --> RUNNING -- status known, ends closed, child exited, flushed --> (done)
 *        |                                `-- connection closed --> LEFT -- child exited --> (done, status 255 unless
 *        `-- anything else --> (refused)                                                     the callee had told one)
 *
 * In RUNNING both directions are independent: each holds at most one chunk, and stops taking more until that chunk
 * is delivered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/filter.h"
#include "data/status.h"

enum {
        _DATA_CALLER_E_SUCCESS,
        DATA_CALLER_E_HANDSHAKE, /* the peer closed before its HELLO, or sent none in time, or one that is too old */
        DATA_CALLER_E_PROTOCOL,  /* the peer sent what no callee sends (5.2) */
};

typedef struct DataCaller {
        int stream_fd; /* the connected stream socket; owned */

        int in_fd;      /* readable: becomes the service's stdin; owned; -1: end-of-file at once, after the prefix */
        int out_fd;     /* writable: gets the service's stdout; owned; -1: discard. May be the same socket as in_fd */
        int err_fd;     /* gets the service's stderr, by writes that may block (5.4 rule 4); not owned */
        bool inherited; /* in_fd and out_fd came from our parent: close them at their end. Else, and if they are one
                           socket, they are shut down (5.4) */

        int child_pidfd; /* local program at the other end of in_fd and out_fd; owned; -1: none */

        const void *prefix; /* sent before anything that is read from in_fd; not owned */
        size_t n_prefix;

        uint64_t hello_usec; /* how long to wait for the callee's HELLO (1.5); 0: without limit */

        DataStatus *
                status; /* the real caller is at the other end of three descriptors (doc/protocol.md, 7.7), of which this
                               is the first: what would go to err_fd is sent there, and in the end the exit code if the
                               callee has told one; the call is given up where nobody reads it any more. Not owned; NULL:
                               there is none */

        bool filter_stdout; /* 5.12 */
        DataFilter filter_stderr;
} DataCaller;

/** A DataCaller without any descriptor but our own stderr: set what there is. */
#define DATA_CALLER_INIT ((DataCaller){ .stream_fd = -1, .in_fd = -1, .out_fd = -1, .err_fd = 2, .child_pidfd = -1 })

/**
 * data_caller_run() - run a call to its end (5.4)
 * @ret_status: 0 to 255: what the process should exit with, by the table of 5.4; 255 if the callee never told
 *
 * data_prepare() (data/prepare.h) must have been called, and before the local program was started. Blocks until the
 * call is over and the local program, if any, is reaped. All owned
 * descriptors are closed, and -1, on return, whatever it is; after an error a local program may still be running.
 *
 * Return: 0, DATA_CALLER_E_…, or a negative error.
 */
int data_caller_run(DataCaller *caller, int *ret_status);
