/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's connection: lines from it to the agent and back, each through the filter. One line at a time, from whoever
 * owes the next one; what the other side writes out of turn waits in the kernel. A client that goes away ends it at any
 * moment, also while a person is asked.
 */
#pragma once

#include "gpg2/filter.h"
#include "gpg2/keyring.h"

typedef struct SessionOptions {
        int client_in_fd, client_out_fd; /* borrowed; may be the same */
        const char *source;              /* the client's name; borrowed */
        const Gpg2Config *config;        /* borrowed */
        const Keyring *keyring;          /* borrowed */
        int debug_fd;                    /* where lines are written to; -1: nowhere */
} SessionOptions;

enum {
        _SESSION_E_SUCCESS,
        SESSION_E_REFUSED, /* the client wrote what is not allowed */
        SESSION_E_AGENT,   /* no gpg-agent, or one that broke the protocol */
        _SESSION_E_N,
};

/**
 * session_run() - until the client or the agent is gone
 *
 * SIGPIPE must be ignored. Return: 0 when the client said BYE or went away, SESSION_E_… (logged), or a negative error.
 */
int session_run(const SessionOptions *options);
