/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening socket, bound by the supervisor, and the rule that says who may connect (doc/architecture.md, "Sockets
 * and identity"). Who the peer is comes from the kernel (SO_PEERCRED) and from which socket it connected to; modes of
 * sockets and folders are never trusted, but for one folder, which is root's alone: the domains without account are in
 * it, and whoever reaches a socket there is that domain, since its folder was mounted where he is.
 */
#pragma once

#include "base/cleanup.h"

typedef struct Broker Broker;
typedef struct Domain Domain;
typedef struct Listener Listener;

typedef enum ListenerKind {
        LISTENER_KIND_SHARED,     /* trigger socket of all accounts: the domain whose account the peer's is */
        LISTENER_KIND_TRIGGER,    /* a domain's own: its account (dom0: root), and then that domain */
        LISTENER_KIND_LINK,       /* its agent: its account */
        LISTENER_KIND_DAEMON,     /* the host's calls into it: root or our own account */
        LISTENER_KIND_STORES,     /* QubesDB of all accounts: as SHARED, and root for dom0's */
        LISTENER_KIND_STORE,      /* QubesDB of a domain: its account (dom0: root) */
        LISTENER_KIND_HOST_STORE, /* the same for the host, which also writes: root or our own account */
        _LISTENER_KIND_N,
} ListenerKind;

/**
 * listener_new() - start to accept connections
 * @domain: whose socket it is; NULL for LISTENER_KIND_SHARED and _STORES; outlives the listener
 * @fd:     listening, non-blocking; owned from here on, also on failure
 *
 * Return: 0 or a negative error.
 */
int listener_new(Broker *broker, ListenerKind kind, Domain *domain, int fd, Listener **ret_listener);
/** listener_free() - accepts NULL. Return: NULL */
Listener *listener_free(Listener *listener);
DEFINE_CLEANUP(Listener *, listener_free)
