/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of a vchan connection that does not exist yet (protocol specification, 1.3). On a data connection the
 * caller listens and the callee dials; on a control connection the domain listens and the host dials.
 *
 *   listener:  LISTENING -- somebody dialled --> connected; the socket's file is gone, nobody else can dial
 *   dialler:   not there yet -- again and again, until a deadline --> connected
 *
 * What comes out is a stream socket: bytes that were written before a close arrive, then end-of-file or a reset, which
 * mean the same; there is no half-close (1.4). It does not block (O_NONBLOCK) and is close-on-exec.
 *
 * Who may dial is a matter of the directory's permissions: a domain that could reach another's files could speak for it.
 */
#pragma once

#include <stdint.h>

#include "vchan/place.h"

enum {
        _VCHAN_E_SUCCESS,
        VCHAN_E_AGAIN,   /* nobody there yet: try later, or poll() a listener */
        VCHAN_E_TIMEOUT, /* nobody was there in time */
        VCHAN_E_FAILED,  /* this end cannot be had, errno says why */
};

/** How long a dialler waits before it tries again: at first, and at most. */
#define VCHAN_RETRY_MIN_USEC UINT64_C(1000)
#define VCHAN_RETRY_MAX_USEC UINT64_C(10000)

typedef struct VchanListener {
        int fd;                    /* to be polled for POLLIN; -1: not listening */
        char path[VCHAN_PATH_MAX]; /* empty: nothing to remove */
} VchanListener;

#define VCHAN_LISTENER_INIT ((VchanListener){ .fd = -1 })

/**
 * vchan_listen() - be there for one dialler; a stale file is replaced
 * @client: the domain that will dial
 * @reterr_errno: receives why, on VCHAN_E_FAILED
 *
 * Return: 0 or VCHAN_E_FAILED.
 */
int vchan_listen(const VchanPlace *place, uint32_t client, uint32_t port, int *reterr_errno,
                 VchanListener *ret_listener);

/**
 * vchan_accept() - take the one connection, and stop listening
 * @ret_fd: the caller's
 *
 * Return: 0, VCHAN_E_AGAIN, or a negative error.
 */
int vchan_accept(VchanListener *listener, int *ret_fd);

/**
 * vchan_accept_until() - the same, and wait for it
 * @deadline_usec: by clock_now(); UINT64_MAX: no limit
 *
 * Return: 0, VCHAN_E_TIMEOUT, or a negative error.
 */
int vchan_accept_until(VchanListener *listener, uint64_t deadline_usec, int *ret_fd);

/** vchan_listener_deinit() - stop listening, remove the file; harmless when repeated */
void vchan_listener_deinit(VchanListener *listener);

/**
 * vchan_dial() - try once, without waiting
 * @server: the domain that listens
 * @reterr_errno: receives why, on VCHAN_E_FAILED: anything but "nobody is there"
 * @ret_fd: the caller's
 *
 * Return: 0, VCHAN_E_AGAIN or VCHAN_E_FAILED.
 */
int vchan_dial(const VchanPlace *place, uint32_t server, uint32_t port, int *reterr_errno, int *ret_fd);

/**
 * vchan_dial_until() - try until somebody is there: a dialler regularly comes before its listener
 * @deadline_usec: by clock_now(); UINT64_MAX: no limit. It tries once at least
 *
 * For a process that has nothing else to do. Return: 0, VCHAN_E_TIMEOUT or VCHAN_E_FAILED.
 */
int vchan_dial_until(const VchanPlace *place, uint32_t server, uint32_t port, uint64_t deadline_usec, int *reterr_errno,
                     int *ret_fd);
