/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection of one agent: a SOCK_SEQPACKET socket, one message a packet (doc/protocol.md, "Local
 * links").
 *
 *   HELLO -- its HELLO; ours goes back --> LIST -- CALL_LIST --> READY -- CALL_ENDED … -->
 *     |                                                           |
 *     '------------------ CALL_DRAIN ---------------------------> DRAINING -- CALL_ENDED … -->
 *   every state -- anything else, hang-up, 10 s before READY --> freed; its domain halts
 *
 * A domain has one live link: a second agent is closed and noted. An agent that was told to stop drains: its link is no longer
 * the live one, so that another agent can take its place, but the ends of its calls come over it. What an agent says about calls that are not its own
 * is noted and ignored.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "wire/exec.h"

typedef struct Broker Broker;
typedef struct Domain Domain;
typedef struct Link Link;

/**
 * Messages that wait for room in the agent's socket, each for a call that holds its channel: more than a burst, less than a
 * leak. They wait here rather than there, since here callers take turns, and a few orders keep an agent busy.
 */
#define LINK_QUEUE_MAX 1024
/** Of those, of one source: who fills another's queue must not keep others from it. */
#define LINK_QUEUE_SOURCE_MAX 384
/** The send buffer of a link, as setsockopt(2) is told: the kernel takes the least that it knows, which is six orders. */
#define LINK_SEND_BUFFER 1024
/** How long an agent may take from connecting to CALL_LIST. */
#define LINK_HANDSHAKE_USEC (UINT64_C(10) * 1000000)

enum {
        _LINK_E_SUCCESS,
        LINK_E_QUEUED, /* no room now; call_on_sent() will tell, or the link's end */
        LINK_E_FULL,   /* too many messages wait already, or too many descriptors are under way */
        LINK_E_GONE,   /* the agent went away; the link's own event will say so too */
};

/**
 * link_new() - serve a connection of an agent; it frees itself
 * @domain: whose agent it is
 * @fd:     non-blocking; owned from here on, also on failure
 *
 * Return: 0 or a negative error.
 */
int link_new(Broker *broker, Domain *domain, int fd);

/** Agents of one domain that drain at a time: restarts in a row, each with a call that does not end; a descriptor each. */
#define LINK_DRAINING_MAX 64
/** How long the agent of a domain that was removed may take to report the ends of its calls. */
#define LINK_GONE_USEC (UINT64_C(10) * 1000000)

/** link_close_later() - its domain was removed: hear what ended there, then close it. Return: 0 or a negative error */
int link_close_later(Link *link);

/** link_next_draining() - the next of its domain's that drain, or NULL */
Link *link_next_draining(const Link *link);

/** link_free() - close it without telling the domain; accepts NULL. Return: NULL */
Link *link_free(Link *link);
DEFINE_CLEANUP(Link *, link_free)

/**
 * link_send_exec() - tell the agent to start a service
 * @type: EXEC_CMDLINE or JUST_EXEC
 * @exec: params.connect_port is the call's id
 * @fds:  the agent's ends of the call's channel; stay the caller's. A message that waits is sent with those that the
 *        call has then
 *
 * Return: 0 (the agent has it), LINK_E_…, or a negative error.
 */
int link_send_exec(Link *link, uint32_t type, const Exec *exec, const int *fds, size_t n_fds);

/** link_forget() - the call that waits for room here has ended; harmless if none does */
void link_forget(Link *link, uint32_t call_id);

/** link_send_kill() - tell the agent to end a call that it runs. Return: 0, LINK_E_…, or a negative error */
int link_send_kill(Link *link, uint32_t call_id);
