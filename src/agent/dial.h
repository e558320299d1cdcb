/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect to a service that is a socket (protocol specification, 6.5 and 6.6): from an event loop, or, in a handler that has
 * nothing else to do yet, by waiting.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/tcp.h"

/** As long as a caller waits for its callee (protocol specification, 1.5). */
#define DIAL_LIMIT_USEC UINT64_C(120000000)

enum {
        _DIAL_E_SUCCESS,
        DIAL_E_FAILED,   /* nobody there, not permitted, or no answer in time: 125 */
        DIAL_E_PROGRESS, /* it is under way: when the socket is writable, dial_finish() */
        DIAL_E_AGAIN,    /* the listener's backlog is full, and no event tells when it is not: try again later */
};

typedef struct DialAddress {
        union {
                struct sockaddr any;
                struct sockaddr_un un;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        };
        socklen_t n;
        int path_fd; /* what a path goes through that is too long for sun_path; -1: none */
} DialAddress;

#define DIAL_ADDRESS_INIT ((DialAddress){ .path_fd = -1 })

/**
 * dial_address_unix() - where a Unix stream socket is
 * @path:         of any length; one that does not fit sun_path is reached through /proc/self/fd
 * @reterr_errno: receives why, on DIAL_E_FAILED
 *
 * Return: 0, DIAL_E_FAILED, or a negative error.
 */
int dial_address_unix(const char *path, int *reterr_errno, DialAddress *ret_address);

/** dial_address_tcp() - where a TCP port is; otherwise as dial_address_unix() */
int dial_address_tcp(const TcpAddress *address, int *reterr_errno, DialAddress *ret_address);

/** dial_address_deinit() - harmless on DIAL_ADDRESS_INIT, and when repeated */
void dial_address_deinit(DialAddress *address);

/**
 * dial_start() - connect without waiting
 * @reterr_errno: receives why, on DIAL_E_FAILED
 * @ret_fd:       for 0 and DIAL_E_PROGRESS: non-blocking, close-on-exec; the caller's
 *
 * Return: 0 (connected), DIAL_E_…, or a negative error.
 */
int dial_start(const DialAddress *address, int *reterr_errno, int *ret_fd);

/** dial_finish() - after DIAL_E_PROGRESS. Return: 0, DIAL_E_FAILED, DIAL_E_PROGRESS (not yet), or a negative error */
int dial_finish(int fd, int *reterr_errno);

/**
 * dial_wait() - connect, and wait for it
 * @ret_fd: blocking, close-on-exec; the caller's
 *
 * Return: 0, DIAL_E_FAILED (also when @limit_usec is over: ETIMEDOUT), or a negative error.
 */
int dial_wait(const DialAddress *address, uint64_t limit_usec, int *reterr_errno, int *ret_fd);
