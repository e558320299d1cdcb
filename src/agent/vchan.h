/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of one domain for a daemon of upstream's kind, or one that speaks like it (protocol specification, 3, 4.1, 7.1),
 * over vchan or vsock (agent/medium.h). It listens for its daemon or dials it, forks a handler for each order, passes the
 * requests of local clients on, and tells the daemon which connections are over.
 *
 * It blocks on nothing but its own epoll. When the daemon goes away between two messages, it listens or dials again:
 * services that run go on, clients that wait are refused. Calls of an earlier connection are not told to a later one, whose
 * ports may be other calls'.
 */
#pragma once

#include "agent/medium.h"
#include "agent/service.h"

/** VCHAN_AGENT_SOCKET - where local clients find the agent */
#define VCHAN_AGENT_SOCKET "/var/run/qubes/qrexec-agent"

enum {
        _VCHAN_AGENT_E_SUCCESS,
        VCHAN_AGENT_E_BROKEN, /* the link cannot go on; why has been logged */
};

typedef struct VchanAgent VchanAgent;

/**
 * vchan_agent_new() - make an agent
 * @settings:    for its handlers; must outlive it, as all of these
 * @medium:      what its connections are made of
 * @socket_path: the trigger socket; must fit a socket's address
 * @notify:      where to say READY=1 when the daemon is there for the first time (agent/notify.h); NULL: nowhere
 *
 * Blocks SIGTERM and SIGINT, which end vchan_agent_run(). Return: 0 or a negative error.
 */
int vchan_agent_new(const ServiceSettings *settings, const Medium *medium, const char *socket_path, const char *notify,
                    VchanAgent **ret_agent);

/** vchan_agent_free() - removes its sockets; running handlers and services are left alone. Return: NULL */
VchanAgent *vchan_agent_free(VchanAgent *agent);

/** vchan_agent_run() - serve until SIGTERM or SIGINT. Return: 0, VCHAN_AGENT_E_BROKEN, or a negative error */
int vchan_agent_run(VchanAgent *agent);
