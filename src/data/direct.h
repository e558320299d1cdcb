/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's end of a direct call (doc/protocol.md, 7.8): two pipes and a status stream.
 *
 *   RUNNING -- the exit code, or the status stream's end; the service's stdout ended; the program exited --> (done)
 *
 * Both directions and the status stream are independent. Where a local program has the pipes, what is left to do is to
 * wait for two ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "data/filter.h"

enum {
        _DATA_DIRECT_E_SUCCESS,
        DATA_DIRECT_E_PROTOCOL, /* the status stream carried what no callee sends; it has been logged */
};

typedef struct DataDirect {
        int status_fd;      /* owned */
        int stdin_fd;       /* writable: the pipe to the service; owned; -1: a local program has it */
        int stdout_fd;      /* readable: the pipe from it; owned; -1: likewise */
        int in_fd, out_fd;  /* what we carry from and to; owned; may be the same socket; -1: nothing */
        bool inherited;     /* in_fd and out_fd came from our parent */
        int err_fd;         /* gets the service's stderr, by writes that may block; not owned */
        int child_pidfd;    /* local program; owned; -1: none */
        const void *prefix; /* sent before anything that is read from in_fd; not owned */
        size_t n_prefix;
        DataFilter filter_stdout, filter_stderr; /* 5.12 */
        bool err_follows_out; /* let go of err_fd where stdout has ended and the service goes on, see below */
} DataDirect;

/** A DataDirect without any descriptor but our own stderr: set what there is. */
#define DATA_DIRECT_INIT           \
        ((DataDirect){             \
                .status_fd = -1,   \
                .stdin_fd = -1,    \
                .stdout_fd = -1,   \
                .in_fd = -1,       \
                .out_fd = -1,      \
                .err_fd = 2,       \
                .child_pidfd = -1, \
        })

/**
 * Over SSH the end of stdout is told only once stderr has ended too (OpenSSH holds the channel's end-of-file back). With
 * `err_follows_out` err_fd becomes /dev/null when stdout has ended and the service is still there this much later: time
 * for what one that ends writes at its end. What it says afterwards is in its agent's log alone.
 */
#define DATA_DIRECT_ERR_MSEC 250

/**
 * data_direct_run() - run a call to its end
 * @ret_status: 0 to 255: what the process should exit with, by the table of 5.4; 255 if the callee never told
 *
 * SIGPIPE must be ignored (data_prepare()). Blocks until the call is over and the local program, if any, is reaped. All
 * owned descriptors are closed, and -1, on return, whatever it is.
 *
 * Return: 0, DATA_DIRECT_E_…, or a negative error.
 */
int data_direct_run(DataDirect *direct, int *ret_status);
