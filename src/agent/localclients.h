/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trigger socket of an agent whose daemon is one of upstream's kind, and those who call through it (protocol
 * specification, 3.12, 4.1; doc/protocol.md, 4 and 5.5).
 *
 *   READING -- request complete --> READY -- sent to the daemon --> WAITING
 *
 *      vchan:  WAITING -- allowed, told where its callee will dial --> CONNECTED -- its end --> freed
 *      vsock:  WAITING -- allowed --> DIALLING -- connected, handed over; or failed, told so --> freed
 *
 *   READING    the client owes its request, within LOCAL_CLIENTS_REQUEST_USEC
 *   READY      the daemon owes room for it
 *   WAITING    the daemon owes its answer, which names the client by an ident of ours; nobody looks at the client
 *   CONNECTED  the client owes its end, by which the daemon gets its port back
 *   DIALLING   the host owes a connection, within LOCAL_CLIENTS_DIAL_USEC; nobody looks at the client: if it is gone, the
 *              connection is closed, which its callee understands
 *
 * Whoever breaks off, says too much or too little, is closed, and nobody else notices. The socket is there only while
 * there is a daemon. What a client asks for is the daemon's to judge: here it is bytes. Over vsock a client must be one that takes
 * descriptors, and says so; it is also told why it does not get any. IDENT_QAIR gets the connection itself, in frames, which is for
 * qrexec-client-vm. IDENT_QAIR_MORE is what programs say that call through libqair, and to which frames are none: it gets pipes and
 * a status stream, with a process behind them (agent/ferry.h). Each is closed after its answer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/hostdial.h"
#include "agent/medium.h"
#include "agent/vchanwatch.h"
#include "base/socket.h"
#include "wire/exec.h"
#include "wire/header.h"
#include "wire/refusal.h"
#include "wire/reply.h"

/** Clients that are not connected; one more is closed at once. A request in full size is 64 KiB. */
#define LOCAL_CLIENTS_MAX 256
/** Time for a connection to the host: as long as its other end is waited for there (protocol.md, 5.5). */
#define LOCAL_CLIENTS_DIAL_USEC UINT64_C(5000000)
/** Time for a request to arrive. */
#define LOCAL_CLIENTS_REQUEST_USEC UINT64_C(10000000)
/** After descriptors ran out, how long nobody is accepted. */
#define LOCAL_CLIENTS_PAUSE_USEC UINT64_C(100000)

enum {
        _LOCAL_CLIENTS_E_SUCCESS,
        LOCAL_CLIENTS_E_FAILED, /* there can be no socket; it has been logged */
        LOCAL_CLIENTS_E_AGAIN,  /* nothing there, or not complete; not connected yet */
        LOCAL_CLIENTS_E_GONE,   /* this client is at its end: local_clients_remove() */
};

typedef enum LocalClientState {
        LOCAL_CLIENT_STATE_READING,
        LOCAL_CLIENT_STATE_READY,
        LOCAL_CLIENT_STATE_WAITING,
        LOCAL_CLIENT_STATE_CONNECTED,
        LOCAL_CLIENT_STATE_DIALLING,
} LocalClientState;

typedef struct LocalClient {
        VchanWatch watch;
        LocalClientState state;
        int fd;
        uint64_t deadline_usec;                /* READING */
        size_t n;                              /* READING: bytes of the request that are there; READY: all of them */
        uint8_t *request;                      /* READING, once its size is known and checked; READY; header included */
        uint8_t header_data[WIRE_HEADER_SIZE]; /* READING, before that */
        bool wants_direct;                     /* READY and later: it knows no frames (over vsock) */
        Ident ident;                           /* WAITING */
        ExecParams params;                     /* CONNECTED, DIALLING: what the daemon must be told at the end */
        VchanWatch dial_watch;
        HostDial dial; /* DIALLING */
        struct LocalClient *previous, *next;
} LocalClient;

typedef struct LocalClientList {
        LocalClient *first, *last;
} LocalClientList;

typedef struct LocalClients {
        int epoll_fd; /* not owned, as @path and @medium */
        const char *path;
        const Medium *medium;
        int fd; /* -1: there is no daemon */
        VchanWatch watch;
        LocalClientList unanswered; /* in the order of their coming */
        LocalClientList connected;
        size_t n_unanswered;
        uint64_t pause_usec; /* when clients are accepted again; 0: they are */
        uint32_t next_ident;
} LocalClients;

/** local_clients_init() - no socket yet. @path must fit a socket's address, and outlive it, as @medium */
void local_clients_init(LocalClients *clients, int epoll_fd, const char *path, const Medium *medium);

/** local_clients_open() - make the socket, for everybody (mode 0777). Return: 0 or LOCAL_CLIENTS_E_FAILED */
int local_clients_open(LocalClients *clients);

/** local_clients_close() - remove the socket, refuse every client that waits, close all; harmless when repeated */
void local_clients_close(LocalClients *clients);

/** local_clients_accept() - take those who came. Return: 0 or a negative error */
int local_clients_accept(LocalClients *clients, uint64_t now_usec);

/** local_clients_read() - READING: take what is there. Return: 0 (READY), LOCAL_CLIENTS_E_…, or a negative error */
int local_clients_read(LocalClients *clients, LocalClient *client);

/** local_clients_ready() - the one of the READY ones that came first, or NULL */
LocalClient *local_clients_ready(const LocalClients *clients);

/**
 * local_clients_forward() - READY to WAITING: what the daemon is to be sent
 * @n_max: size of @ret_message; WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX is always enough
 *
 * Return: 0, LOCAL_CLIENTS_E_GONE if this version of the protocol cannot say it, or a negative error.
 */
int local_clients_forward(LocalClients *clients, LocalClient *client, uint32_t version, uint8_t *ret_message,
                          size_t n_max, size_t *ret_n);

/** local_clients_find() - the WAITING one with this ident, or NULL */
LocalClient *local_clients_find(const LocalClients *clients, const char *ident);

/**
 * local_clients_connect() - WAITING to CONNECTED: tell it where its callee will dial; to DIALLING: local_clients_dial() is due
 * @params: medium_has() them
 *
 * Return: 0, LOCAL_CLIENTS_E_GONE if it did not wait for that, or a negative error.
 */
int local_clients_connect(LocalClients *clients, LocalClient *client, const ExecParams *params, uint64_t now_usec);

/** local_clients_due() - one that is DIALLING, and for which local_clients_dial() is due though nothing has happened, or NULL */
LocalClient *local_clients_due(const LocalClients *clients, uint64_t now_usec);

/**
 * local_clients_dial() - DIALLING: go on, as far as it goes without waiting; an event of dial_watch says when
 * @ret_fd: the connection, for local_clients_give()
 *
 * Return: 0, LOCAL_CLIENTS_E_AGAIN, LOCAL_CLIENTS_E_GONE if it failed (the client has been told), or a negative error.
 */
int local_clients_dial(LocalClients *clients, LocalClient *client, uint64_t now_usec, int *ret_fd);

/**
 * local_clients_give() - DIALLING: hand it the connection to its callee, or what a ferry makes of it
 * @fd: taken
 *
 * Return: LOCAL_CLIENTS_E_GONE, or a negative error.
 */
int local_clients_give(const LocalClients *clients, const LocalClient *client, int fd);

/** local_clients_refuse() - READY, WAITING: tell it why it is not served, if it understands that, and remove it */
void local_clients_refuse(LocalClients *clients, LocalClient *client, ReplyReason reason);

/** local_clients_remove() - close and free one; one that waits for an answer learns by it that it is refused */
void local_clients_remove(LocalClients *clients, LocalClient *client);

/** local_clients_deadline() - when local_clients_on_deadline() is due, or local_clients_due() finds one; UINT64_MAX: never */
uint64_t local_clients_deadline(const LocalClients *clients);

/** local_clients_on_deadline() - close who did not say its request in time. Return: 0 or a negative error */
int local_clients_on_deadline(LocalClients *clients, uint64_t now_usec);
