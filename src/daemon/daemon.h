/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-daemon: serves one domain on the host, as upstream's does (protocol specification, 3, 4.2, 7.5 to 7.7).
 *
 *   DIALLING -- the agent listens --> HELLO -- its HELLO, answered --> UP
 *       ^                                                               |
 *       `------------------- gone between two messages -----------------'
 *
 *                         SIGTERM, and calls of a broker's domain that run --> LEFT -- their end --> (done)
 *
 *   DIALLING   the agent owes its listener, at first within the limit of the settings; later without. That of a virtual machine
 *              owes its connection: it dials us (daemon/guest.h)
 *   HELLO      the agent owes its HELLO
 *   UP         requests and ends of calls come from the agent, commands from clients (daemon/clients.h)
 *
 * It decides nothing: a worker asks the policy for each request (daemon/worker.h). It blocks on nothing. Ports stay taken
 * until the agent says that their call is over, also across the agent's absence; over vsock see guest_lose_agent().
 */
#pragma once

#include "daemon/settings.h"

enum {
        _DAEMON_E_SUCCESS,
        DAEMON_E_TIMEOUT, /* the agent was not there in time */
        DAEMON_E_BROKEN,  /* the agent broke the protocol, or there can be no socket; it has been logged */
};

typedef struct Daemon Daemon;

/**
 * daemon_new() - make a daemon
 * @settings: must outlive it
 * @on_up:    called when the agent is there for the first time, and the domain can be called
 *
 * Blocks SIGTERM and SIGINT, which end daemon_run(). Return: 0 or a negative error.
 */
int daemon_new(const DaemonSettings *settings, void (*on_up)(void *userdata), void *userdata, Daemon **ret_daemon);

/** daemon_free() - removes its sockets; workers and calls go on. Return: NULL */
Daemon *daemon_free(Daemon *daemon);

/** daemon_run() - serve until SIGTERM or SIGINT. Return: 0, DAEMON_E_…, or a negative error */
int daemon_run(Daemon *daemon);
