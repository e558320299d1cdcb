/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a program to its end: bytes for its standard input, and what it writes, at most so much. Nobody waits for nobody:
 * all three streams are served as they are ready.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

typedef struct Exchange {
        char *out, *err; /* each followed by a NUL that is not counted; NULL: nothing was written */
        size_t n_out, n_err;
        int status; /* exit status; 255 if it was killed */
} Exchange;

enum {
        _EXCHANGE_E_SUCCESS,
        EXCHANGE_E_START,    /* it could not be started: `err` says why */
        EXCHANGE_E_TOO_MUCH, /* it wrote more than it may: what it has written so far is there, and its status */
};

/** exchange_deinit() - harmless on an all-zero one */
void exchange_deinit(Exchange *exchange);

/**
 * exchange_run() - start @argv[0], which is a path, and wait for its end
 * @environment:  NULL: ours
 * @payload:      @n_payload bytes for its standard input
 * @n_max:        bytes of standard output that are accepted
 * @n_max_err:    bytes of standard error
 * @ret_exchange: the caller deinitialises it, also if the result is positive
 *
 * SIGPIPE must be ignored; it is not in the process that is started. A program that does not read its input is not at
 * fault. Return: 0, EXCHANGE_E_…, or a negative error.
 */
int exchange_run(const char *const *argv, char *const *environment, const void *payload, size_t n_payload, size_t n_max,
                 size_t n_max_err, Exchange *ret_exchange);
