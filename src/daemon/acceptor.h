/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a virtual machine over vsock (doc/protocol.md, 5.5). It dials, and the ports are root's: so the supervisor
 * listens, and gives us a copy of the listener for data and each control connection (supervisor/guests.h, VSOCK_GIFT_…).
 *
 *   ABSENT -- it is there again --> (D) -- the listener was given --> SERVED -- it went away --> ABSENT
 *
 * The listener stays, whatever becomes of the supervisor: the guest was told its port, and so does every connection that was given.
 * What waits at the listener when it comes to us is of another daemon's calls, and is closed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/settings.h"
#include "vchan/vsock.h"

enum {
        _ACCEPTOR_E_SUCCESS,
        ACCEPTOR_E_AGAIN, /* nothing there now */
};

/** Data connections that are taken in one go: as many as a listener holds (vchan/vsock.c). */
#define ACCEPTOR_DRAIN_MAX 256

typedef struct Acceptor {
        const char *
                path; /* the supervisor's socket for us; not owned; NULL: the domain is over vchan, and all else unused */
        int epoll_fd; /* readable when something has come; part of the daemon's own epoll */
        int timer_fd;
        int fd;      /* the connection to the supervisor; -1: ABSENT */
        int data_fd; /* the listener for data; -1: not given yet */
        uint32_t data_port;
        bool data_waits; /* until the timer: descriptors ran out */
        uint64_t retry_usec;
} Acceptor;

#define ACCEPTOR_INIT ((Acceptor){ .epoll_fd = -1, .timer_fd = -1, .fd = -1, .data_fd = -1 })

/** A connection of the guest. */
typedef struct Arrival {
        VsockPeer peer;
        VsockPurpose purpose; /* CONTROL or DATA: where it was accepted */
        int fd;               /* the caller's */
} Arrival;

/** acceptor_init() - nothing has come yet. Return: 0 or a negative error */
int acceptor_init(Acceptor *acceptor, const DaemonSettings *settings);

/** acceptor_deinit() - harmless on ACCEPTOR_INIT */
void acceptor_deinit(Acceptor *acceptor);

/** acceptor_next() - what its epoll tells of. Return: 0: @ret_arrival is set; ACCEPTOR_E_AGAIN, or a negative error */
int acceptor_next(Acceptor *acceptor, Arrival *ret_arrival);

/** acceptor_next_data() - a data connection that waits to be accepted. Return: as acceptor_next() */
int acceptor_next_data(Acceptor *acceptor, Arrival *ret_arrival);

/**
 * acceptor_is_guests() - may this data connection be one that a guest was told to make? pure
 * @cid: the guest's
 */
bool acceptor_is_guests(const VsockPeer *peer, uint32_t cid);
