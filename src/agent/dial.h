/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect to a service that is a socket (protocol specification, 6.5 and 6.6). These calls block: they are for a
 * handler, which has nothing else to do yet.
 */
#pragma once

#include <stdint.h>

#include "agent/tcp.h"

/** As long as a caller waits for its callee (protocol specification, 1.5). */
#define DIAL_LIMIT_USEC UINT64_C(120000000)

enum {
        _DIAL_E_SUCCESS,
        DIAL_E_FAILED, /* nobody there, not permitted, or no answer in time: 125 */
};

/**
 * dial_unix() - connect to a Unix stream socket
 * @path:         of any length; one that does not fit sun_path is reached through /proc/self/fd
 * @reterr_errno: receives why, on DIAL_E_FAILED
 * @ret_fd:       blocking, close-on-exec; the caller's
 */
int dial_unix(const char *path, uint64_t limit_usec, int *reterr_errno, int *ret_fd);

/** dial_tcp() - connect to a TCP port; otherwise as dial_unix() */
int dial_tcp(const TcpAddress *address, uint64_t limit_usec, int *reterr_errno, int *ret_fd);
