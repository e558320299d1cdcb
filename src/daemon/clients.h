/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon socket of one domain, and who connects to it: qrexec-client, and workers of any daemon (protocol
 * specification, 4.2). In the working directory: `qrexec.ID`, and the links `qrexec.NAME` and `qrexec.uuid:UUID`. They are
 * there exactly as long as the domain's agent is.
 *
 *   HELLO -- its HELLO --> COMMAND -- one command, answered --> RUNNING -- the end of either side, or of its call --> freed
 *                             |
 *              (over vsock)   `--> WAITING -- the guest dialled: answered --> CONNECTED -- the guest is done --> OVER
 *
 * Over vsock the answer is the connection itself. Its port is the client's, until both it and the guest are done with it: so one
 * that is CONNECTED or OVER stays when the guest's agent goes away, and all that is left for it to say is that it has gone.
 *
 * Whoever says anything else is closed, and nobody else notices.
 */
#pragma once

#include <stdint.h>

#include "daemon/settings.h"
#include "vchan/messages.h"
#include "wire/exec.h"

/** Clients at a time; one more is closed at once. */
#define CLIENTS_MAX 256
/** Payload of a command (2.5). */
#define CLIENT_PAYLOAD_MAX 65535

enum {
        _CLIENTS_E_SUCCESS,
        CLIENTS_E_FAILED, /* there can be no socket; it has been logged */
        CLIENTS_E_AGAIN,  /* nothing there now */
        CLIENTS_E_GONE,   /* this client is at its end: clients_remove() */
};

typedef enum ClientState {
        CLIENT_STATE_HELLO,
        CLIENT_STATE_COMMAND,
        CLIENT_STATE_RUNNING,
        CLIENT_STATE_WAITING,
        CLIENT_STATE_CONNECTED,
        CLIENT_STATE_OVER,
} ClientState;

typedef struct Client {
        ClientState state;
        Messages messages;
        uint32_t type;          /* from RUNNING on: of its command */
        ExecParams params;      /* from RUNNING on: what it was given; port 0: nothing */
        uint64_t deadline_usec; /* WAITING: how long */
        int data_fd;            /* CONNECTED, OVER: a copy of its connection, for guest_probe(); -1: none */
        struct Client *previous, *next;
} Client;

typedef struct Clients {
        const DaemonSettings *settings; /* not owned */
        int epoll_fd;                   /* readable when a client or the socket is; part of the daemon's own epoll */
        int fd;                         /* -1: there is no agent */
        int spare_fd;                   /* given up for a moment when descriptors run out, to refuse instead of spin */
        Client *first;
        size_t n;
} Clients;

/** A command as a client said it. */
typedef struct ClientCommand {
        uint32_t type; /* EXEC_CMDLINE, JUST_EXEC or SERVICE_CONNECT */
        Exec exec;     /* points into the client's buffer; text may have inner NULs */
} ClientCommand;

/** clients_init() - no socket yet. Return: 0 or a negative error */
int clients_init(Clients *clients, const DaemonSettings *settings);

/** clients_deinit() - as clients_close(), for good */
void clients_deinit(Clients *clients);

/** clients_open() - make the socket and its links. Return: 0 or CLIENTS_E_FAILED */
int clients_open(Clients *clients);

/** clients_close() - remove them, close every client but those whose connection the guest has made; harmless when repeated */
void clients_close(Clients *clients);

/** clients_accept() - take those who came. Return: 0 or a negative error */
int clients_accept(Clients *clients);

/** clients_receive() - what @client says next. Return: 0: @ret_command is set; CLIENTS_E_…, or a negative error */
int clients_receive(Clients *clients, Client *client, ClientCommand *ret_command);

/** clients_answer() - tell it which domain will dial it, at which port. Return: 0 or a negative error */
int clients_answer(Client *client, uint32_t type, const ExecParams *params);

/**
 * clients_hand_over() - answer one that is WAITING: the guest has dialled
 * @fd: the connection; stays the caller's. There is a copy until the client is gone, which ends its call
 *
 * Return: 0 (it is CONNECTED), CLIENTS_E_GONE, or a negative error.
 */
int clients_hand_over(Client *client, int fd);

/** clients_find() - the one that got this port for this peer, or NULL */
Client *clients_find(const Clients *clients, const ExecParams *params);

/** clients_remove() - close and free one */
void clients_remove(Clients *clients, Client *client);
