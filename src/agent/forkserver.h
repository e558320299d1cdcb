/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fork server: runs what agents of its own account hand over (agent/handover.h), in the session that it was started in.
 * Who connects is checked by the kernel's word (SO_PEERCRED), so it can be asked for nothing that the account could not do
 * itself.
 *
 * A peer, one connection and one call:
 *
 *   READING -- the request is complete, the call runs --> RUNNING -- the call is over: answered --> closed
 *      `-- malformed, end-of-file, FORKSERVER_READ_USEC is over --> closed
 *
 *   READING    the agent owes the rest of its request
 *   RUNNING    the service owes its end; the agent may send CALL_KILL. If it goes away, the call goes on
 */
#pragma once

#include "agent/service.h"
#include "base/clock.h"

/** Connections at a time; more wait in the backlog. */
#define FORKSERVER_PEERS_MAX 16000
/** For a request to arrive. */
#define FORKSERVER_READ_USEC (10 * USEC_PER_SEC)

typedef struct Forkserver Forkserver;

/**
 * forkserver_new() - serve, once forkserver_run() is called
 * @settings:  how programs are started; not owned
 * @listen_fd: a listening Unix stream socket, non-blocking; owned
 *
 * Return: 0 or a negative error.
 */
int forkserver_new(const ServiceSettings *settings, int listen_fd, Forkserver **ret_server);

/** forkserver_run() - until SIGTERM or SIGINT. Return: 0 or a negative error */
int forkserver_run(Forkserver *server);

/** forkserver_free() - calls that run go on (agent/runner.h); accepts NULL. Return: NULL */
Forkserver *forkserver_free(Forkserver *server);
