/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the connections of an agent with a daemon of upstream's kind are made of (doc/protocol.md, 5.5).
 *
 *            control                       a call into the domain            a call out of it
 *   vchan    a socket in a folder, where   the handler dials the caller's    the client is told where its callee will dial
 *            the agent listens             socket there, which may be late
 *   vsock    the agent dials the host      the handler dials the host from   the agent dials the same way, and hands the
 *                                          the port that the daemon gave     client the connection
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vchan/place.h"
#include "wire/exec.h"

typedef enum MediumKind {
        MEDIUM_KIND_VCHAN,
        MEDIUM_KIND_VSOCK,
} MediumKind;

typedef struct Medium {
        MediumKind kind;
        VchanPlace place; /* VCHAN */
} Medium;

enum {
        _MEDIUM_E_SUCCESS,
        MEDIUM_E_FAILED, /* it cannot be had, errno says why */
};

/** medium_has() - can the data of a call be where the daemon says? pure */
bool medium_has(const Medium *medium, const ExecParams *params);

/**
 * medium_dial_wait() - the data connection of a call into the domain, for a process that has nothing else to do yet
 * @params:       medium_has() them
 * @reterr_errno: receives why, on MEDIUM_E_FAILED; ETIMEDOUT: the caller was not there in time
 * @ret_fd:       does not block; the caller's
 *
 * Return: 0, MEDIUM_E_FAILED, or a negative error.
 */
int medium_dial_wait(const Medium *medium, const ExecParams *params, uint64_t deadline_usec, int *reterr_errno,
                     int *ret_fd);
