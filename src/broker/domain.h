/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is going on with one domain while the broker runs. What the domain *is* (type, tags, …) is the inventory's
 * business; here are its sockets, its link, and the connections and calls that it has to answer for.
 *
 *          .-------------- link is up ---------------.
 *          |                                         v
 *   HALTED -- a call needs it --> STARTING -- link is up --> RUNNING <-- it failed -- STOPPING
 *     ^                            |                          | |                       ^  |
 *     '-- it failed, or time is up-'------- link is lost -----' '- told to, or idle ----'  |
 *     '------------------------------------ link is lost ----------------------------------'
 *
 * What starts and stops it is broker/lifecycle.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "broker/lifecycle.h"

typedef struct Broker Broker;
typedef struct Caller Caller;
typedef struct DbPeer DbPeer;
typedef struct Domain Domain;
typedef struct Link Link;
typedef struct Listener Listener;
typedef struct QubesdbStore QubesdbStore;

/** Connections of one domain that have not been answered yet: far above honest use, far below our descriptors. */
#define DOMAIN_CONNECTIONS_MAX 512
/** Links of one domain: the live one, those that drain, and newcomers. Apart, or a domain could lock out its own agent. */
#define DOMAIN_LINKS_MAX 80
/** The same for all strangers together. */
#define DOMAIN_STRANGERS_MAX 64
/** Calls of one domain that are open at a time, if its `max_calls` says nothing else. */
#define DOMAIN_CALLS_MAX 8192

typedef enum DomainState {
        DOMAIN_STATE_HALTED,
        DOMAIN_STATE_STARTING, /* the supervisor was asked; we wait for the agent's link */
        DOMAIN_STATE_RUNNING,  /* the link is up */
        DOMAIN_STATE_STOPPING, /* the supervisor was asked to stop it; the link is up still, and gets no more calls */
        _DOMAIN_STATE_N,
} DomainState;

struct Domain {
        Broker *broker;
        unsigned n_refs;
        DomainName name;
        uid_t uid; /* the account that is this domain (dom0: of its agent) */
        DomainState state;
        bool is_folder;       /* it has no account: whoever reaches its sockets is it */
        bool is_gone;         /* removed from the inventory; only its calls and its link still hold it */
        bool keeps_calls;     /* its calls shall go on when it is removed */
        Domain *next_gone;    /* of those whose link is still open */
        bool agent_has_ended; /* the supervisor said so while the link still stood */

        Listener *trigger;
        Listener *link_listener;
        Listener *daemon;
        Listener *store_listener, *host_store;
        Link *link;     /* the live one, or NULL */
        Link *draining; /* of agents that were told to stop, and have calls to finish */
        Lifecycle lifecycle;

        QubesdbStore *store, *view; /* its QubesDB, and what of it is the inventory's; NULL: nobody has asked yet */
        uint64_t view_generation;   /* of the inventory that made the view */
        DbPeer *dbpeers;            /* who asks now */
        size_t n_dbpeers;

        Caller *ready_first, **ready_last; /* connections whose request was not looked at yet (broker/caller.h) */
        Domain *next_ready;                /* of those with such */

        size_t n_connections, n_connections_max;
        size_t n_links;
        size_t n_calls, n_calls_max; /* as source */
        size_t n_calls_here;         /* as target */
        size_t n_audit_bytes;        /* records of its calls that wait to be written (broker/audit.h) */
        size_t n_unrecorded;         /* requests refused because none more may wait */

        uint64_t noted_usec; /* when the last record about this domain's misbehaviour was written … */
        unsigned n_unnoted;  /* … and how many came since and were not: a flood must not fill the log */
};

/** Domains by name and by account; both arrays are sorted, look-ups are binary searches. */
typedef struct DomainTable {
        Domain **by_name;
        Domain **by_uid;
        size_t n;
} DomainTable;

/** domain_new() - a halted domain with one reference, in no table. Return: 0 or a negative error */
int domain_new(Broker *broker, const DomainName *name, uid_t uid, Domain **ret_domain);

/** domain_ref() - one more owner. Return: @domain */
Domain *domain_ref(Domain *domain);
/** domain_unref() - accepts NULL. Return: NULL */
Domain *domain_unref(Domain *domain);
DEFINE_CLEANUP(Domain *, domain_unref)

/** domain_state_text() - "running", … */
const char *domain_state_text(DomainState state);

/** domain_close() - close its sockets and its link, and tell nobody: the broker itself is ending */
void domain_close(Domain *domain);

/** domain_close_all() - all of the broker's, also those that are gone */
void domain_close_all(Broker *broker);

/**
 * domain_remove() - it is no more: take it out of the table, close its sockets
 *
 * Calls that wait for it are refused. Those that run there, and its own elsewhere, are ended by the agents that run them; its
 * own agent has LINK_GONE_USEC to report that, then its link is closed. With @keeps_calls they go on, and nobody will report
 * the end of those that run there.
 * Return: 0 or a negative error.
 */
int domain_remove(Domain *domain);

/** domain_is_dom0() - is it the host itself? */
static inline bool domain_is_dom0(const Domain *domain) {
        return domain_name_is_dom0(&domain->name);
}

/** domain_set_state() - for the life cycle alone */
void domain_set_state(Domain *domain, DomainState state);

/** domain_on_link_up() - told by a link: it is the live one, and the domain's to free. Return: 0 or a negative error */
int domain_on_link_up(Domain *domain, Link *link);
/** domain_on_link_lost() - told by the live link: it has ended, and is freed here. Return: 0 or a negative error */
int domain_on_link_lost(Domain *domain);
/** domain_on_link_drains() - told by the live link: it is that no longer. Return: 0 or a negative error */
int domain_on_link_drains(Domain *domain);
/** domain_on_drained() - told by a link that drained: it has ended, and is freed here. Return: 0 or a negative error */
int domain_on_drained(Domain *domain, Link *link);
/** domain_on_agent_ended() - told by the supervisor: the agent is gone, or never came. Return: 0 or a negative error */
int domain_on_agent_ended(Domain *domain, unsigned status);

/**
 * domain_note() - log something that this domain did wrong, at most once a second
 *
 * What is left out is counted, and the count is part of the next record.
 */
void domain_note(Domain *domain, const char *format, ...) _printf_(2, 3);

/** domain_table_deinit() - unref all */
void domain_table_deinit(DomainTable *table);
/** domain_table_add() - takes its own reference; the name must not be in the table. Return: 0 or a negative error */
int domain_table_add(DomainTable *table, Domain *domain);
/** domain_table_remove() - drops the table's reference; harmless if it is not there */
void domain_table_remove(DomainTable *table, Domain *domain);
/** domain_table_find(), domain_table_find_uid() - Return: a borrowed pointer, or NULL */
Domain *domain_table_find(const DomainTable *table, const char *name);
/** The account of dom0's agent is not found here: a service of dom0 must not be able to call as dom0. */
Domain *domain_table_find_uid(const DomainTable *table, uid_t uid);
