/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a client here, and the call that carries it to the vault.
 *
 *   ASKING -- allowed --> RUNNING -- the service is done --> ENDING -- its exit code is there and the client gone, 5 s --> CLOSED
 *     |  '-- no broker: again in 0.1 s, for 3 s              ^  ^
 *     '-- refused -------------------------------------------'  |
 *   every state -- the client is gone --------------------------'
 *
 * In ENDING the client reads the end of the stream. What it still writes is taken, for SIGPIPE would keep it from reading.
 * What the client has said before it is RUNNING waits in its socket. Then the kernel moves the bytes, between that socket
 * and the call's pipes (data/flow.h): this process sees none of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "data/flow.h"
#include "libqair/qair.h"

/** How often the broker is asked again where there was none, and the pause: three seconds in all, as qrexec-client-vm. */
#define CONNECTION_ATTEMPTS   30
#define CONNECTION_PAUSE_USEC UINT64_C(100000)
/** How long a service may take to end after it has closed its output, and a client after it was told. */
#define CONNECTION_ENDING_USEC UINT64_C(5000000)

typedef enum ConnectionState {
        CONNECTION_STATE_ASKING,
        CONNECTION_STATE_RUNNING,
        CONNECTION_STATE_ENDING,
        CONNECTION_STATE_CLOSED, /* nothing is open any more: free it */
        _CONNECTION_STATE_N,
} ConnectionState;

/** Which descriptor of a connection an event is about. */
typedef enum ConnectionPart {
        CONNECTION_PART_CLIENT,
        CONNECTION_PART_STDIN,
        CONNECTION_PART_STDOUT,
        CONNECTION_PART_CALL, /* the answer to the request, then the status */
        _CONNECTION_PART_N,
} ConnectionPart;

/** Whom all connections go to. */
typedef struct ConnectionTarget {
        const char *domain, *service;
        qair_client *client;
} ConnectionTarget;

typedef struct Connection {
        ConnectionState state;
        const ConnectionTarget *target;
        int epoll_fd; /* the loop's */
        uint64_t key; /* of our events; below CONNECTION_PART_N are the parts */
        int client_fd;
        int call_fd; /* the call's own, while epoll knows it */
        qair_call *call;
        unsigned n_attempts;
        uint64_t deadline_usec; /* when to do something if nothing happens; UINT64_MAX: never */
        DataFlow up, down;
        bool up_due, down_due;   /* to run, without waiting */
        bool up_full, down_full; /* to wait for room */
        bool up_open;
} Connection;

/**
 * connection_new() - ask for the call
 * @target:    of all connections; must outlive it
 * @client_fd: a connected stream socket that nobody else has, with O_NONBLOCK; taken over, also on failure
 * @key:       for epoll: an event about part P has data.u64 = @key + P; a multiple of _CONNECTION_PART_N
 *
 * Return: 0, also if it is CLOSED at once; or a negative error.
 */
int connection_new(const ConnectionTarget *target, int epoll_fd, uint64_t key, int client_fd,
                   Connection **ret_connection);

/** connection_free() - accepts NULL. Return: NULL */
Connection *connection_free(Connection *connection);
DEFINE_CLEANUP(Connection *, connection_free)

/** connection_on_event() - note what epoll says. Nothing is done before connection_run() */
int connection_on_event(Connection *connection, ConnectionPart part, uint32_t events);

/** connection_run() - do what can be done without waiting, for one turn. Return: 0 or a negative error */
int connection_run(Connection *connection, uint64_t now_usec);

/** connection_is_due() - must connection_run() be called again without waiting? */
static inline bool connection_is_due(const Connection *connection) {
        return connection->up_due || connection->down_due;
}
