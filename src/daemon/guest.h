/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain that is a virtual machine, over vsock: what is other than over vchan (doc/protocol.md, 5.5). It dials, also where its
 * calls are answered: a client waits until it has, and is answered with the connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/complaint.h"
#include "daemon/acceptor.h"
#include "daemon/clients.h"
#include "daemon/ports.h"

/**
 * How long the guest may take to dial for a call: it tries for 120 s (doc/protocol.md, 5.5), and a while goes by on the way. Who asks on
 * behalf of one of its own calls does not wait as long.
 */
#define GUEST_DIAL_USEC UINT64_C(130000000)

enum {
        _GUEST_E_SUCCESS,
        GUEST_E_AGAIN,  /* no agent has dialled */
        GUEST_E_REFUSE, /* what a client asks for cannot be had; it has been logged */
};

typedef struct Guest {
        Acceptor acceptor;       /* its epoll is part of the daemon's own */
        Ports *ports;            /* not owned; as of a peer that is VCHAN_DOMAIN_HOST */
        Clients *clients;        /* not owned */
        uint32_t cid;            /* of the agent that dialled last; 0: none has */
        Complaint complaint;     /* about those who dial in vain */
        bool is_orphan[PORTS_N]; /* taken, without a client, and of an agent that has gone: nobody will give it back */
        uint64_t orphans_usec;   /* when they can be dialled for no more; 0: there are none */
} Guest;

/**
 * guest_init() - nobody has dialled
 *
 * Where the domain is over vchan nothing ever comes. Return: 0 or a negative error.
 */
int guest_init(Guest *guest, const DaemonSettings *settings, Ports *ports, Clients *clients);

/** guest_deinit() - what was handed over goes on; harmless when repeated */
void guest_deinit(Guest *guest);

/**
 * guest_next() - what the acceptor's epoll tells of
 * @ret_fd: set for 0: an agent's control connection; the caller's
 *
 * Data connections go to the clients that wait for them. Return: 0, GUEST_E_AGAIN, or a negative error.
 */
int guest_next(Guest *guest, int *ret_fd);

/** guest_turn_away() - a control connection that is not wanted. @fd: taken */
void guest_turn_away(Guest *guest, int fd);

/**
 * guest_invite() - a client's command: give it a port, at which it waits for the guest
 * @params: what it said; becomes what the guest is told
 *
 * Return: 0 or GUEST_E_REFUSE.
 */
int guest_invite(Guest *guest, Client *client, ExecParams *params);

/**
 * guest_terminate() - the guest is done with a call
 * @params: as it said
 *
 * What it dialled before that is handed over first. A caller's connection it has handed on, and the call may go on: the port
 * stays taken as long as the client stays. Return: 0 or a negative error.
 */
int guest_terminate(Guest *guest, const ExecParams *params);

/**
 * guest_lose_agent() - its clients are closed, but those whose connections it has made
 *
 * What it was told to dial for it may dial for yet (GUEST_DIAL_USEC): then the ports of these calls are free.
 */
void guest_lose_agent(Guest *guest, uint64_t now_usec);

/**
 * guest_probe() - another agent is there: do the calls of the one before go on?
 *
 * Where the machine was reset, their connections end now; otherwise they would stand until somebody sends (vsock_probe()).
 */
void guest_probe(const Guest *guest);

/** guest_deadline() - when guest_on_deadline() is due; UINT64_MAX: never */
uint64_t guest_deadline(const Guest *guest);

/**
 * guest_on_deadline() - close the clients for which it did not dial, release the ports of an agent before
 *
 * The ports of these clients stay taken until it gives them back.
 */
void guest_on_deadline(Guest *guest, uint64_t now_usec);

/** guest_remove_client() - a client that is gone, with its port if the guest is done with it */
void guest_remove_client(Guest *guest, Client *client);
