/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that has been allowed, from the caller's side: its channel at one end; our own stdin and stdout, or a local
 * program, at the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "libqair/channel.h"
#include "client/dialled.h"
#include "client/program.h"
#include "data/filter.h"

typedef struct Session {
        Channel channel;        /* owned; CHANNEL_INIT with @dialled */
        Dialled *dialled;       /* framed, and the callee dials once the program runs; NULL: @channel is there */
        const Program *program; /* takes the place of our stdin and stdout; NULL: none */
        bool detached;          /* nothing is read or written but the exit code */
        bool use_stdin_socket;  /* descriptor 0 serves both directions */
        const char *prefix;     /* NULL: none */
        uint64_t hello_usec;    /* framed: how long to wait for the callee (protocol specification, 1.5) */
        DataFilter filter_stdout, filter_stderr;
        bool err_follows_out; /* data/direct.h */
} Session;

enum {
        _SESSION_E_SUCCESS,
        SESSION_E_PROTOCOL, /* the callee sent what no callee sends; it has been logged */
        SESSION_E_FAILED,   /* no connection to it, or the program could not be started; it has been logged */
};

/**
 * session_run() - carry it to its end
 * @ret_status: what the process should exit with (protocol specification, 5.4)
 *
 * data_prepare() must have been called. Return: 0, or SESSION_E_….
 */
int session_run(Session *session, int *ret_status);
