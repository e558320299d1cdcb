/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dial mode (protocol specification, 1.2, 4.1, 5.1): whoever answers a request of ours hands out no descriptor but a
 * domain and a port, at which the callee will dial us. That is how upstream's agents and daemons have it, and ours over
 * vchan; it is asked for where VCHAN_DOMAIN says that connections are sockets in a directory.
 *
 *   asked --> LISTENING -- the callee dialled --> the session has its stream
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vchan/endpoint.h"
#include "wire/header.h"

enum {
        _DIALLED_E_SUCCESS,
        DIALLED_E_REFUSED, /* the request was refused; not logged */
        DIALLED_E_FAILED,  /* anything else; it has been logged */
};

typedef struct Dialled {
        int asked_fd; /* who we asked; it learns from its end that the call is over */
        VchanListener listener;
        uint64_t limit_usec; /* how long dialled_accept() waits; 0: without limit */
} Dialled;

#define DIALLED_INIT ((Dialled){ .asked_fd = -1, .listener = VCHAN_LISTENER_INIT })

/** dialled_is_wanted() - does the environment say that this is the way? */
bool dialled_is_wanted(void);

/**
 * dialled_ask_agent() - ask the agent of our domain for a call, and listen for the callee
 * @socket_path: its trigger socket
 * @dialled:     DIALLED_INIT; the caller calls dialled_deinit() whatever is returned
 *
 * Waits for the answer without limit. Return: 0 or DIALLED_E_….
 */
int dialled_ask_agent(const char *socket_path, const char *source, const char *target, const char *service,
                      Dialled *dialled);

/**
 * dialled_ask_daemon() - have a command run in a domain by its daemon, and listen for the callee
 * @type:    WIRE_TYPE_EXEC_CMDLINE or WIRE_TYPE_JUST_EXEC
 * @command: as for daemon_call()
 *
 * Otherwise as dialled_ask_agent(). Return: 0 or DIALLED_E_FAILED.
 */
int dialled_ask_daemon(const char *socket_path, WireType type, const char *command, Dialled *dialled);

/** dialled_accept() - wait for the callee. Return: 0 or DIALLED_E_FAILED */
int dialled_accept(Dialled *dialled, int *ret_stream_fd);

/** dialled_deinit() - stop listening, and say that the call is over; harmless when repeated */
void dialled_deinit(Dialled *dialled);
