/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket pair to the supervisor (wire/supervise.h): it gives us the listening sockets of every domain and the
 * account behind each, and starts and stops domains when asked.
 */
#pragma once

#include "base/cleanup.h"
#include "base/name.h"

typedef struct Broker Broker;
typedef struct Parent Parent;
typedef struct Served Served;

/** parent_new() - @fd is owned from here on, also on failure. Return: 0 or a negative error */
int parent_new(Broker *broker, int fd, Parent **ret_parent);
/** parent_free() - accepts NULL. Return: NULL */
Parent *parent_free(Parent *parent);
DEFINE_CLEANUP(Parent *, parent_free)

/** parent_ask_ids() - ask for another block of call ids. Return: 0 or a negative error */
int parent_ask_ids(Parent *parent);
/** parent_reopen_audit() - ask for another place for audit records. Return: 0 or a negative error */
int parent_reopen_audit(Parent *parent);

/** Who may wait at a time for the configuration to be read again. */
#define PARENT_WAITERS_MAX 16

enum {
        _PARENT_E_SUCCESS,
        PARENT_E_FULL, /* PARENT_WAITERS_MAX wait already */
};

/**
 * parent_reread() - have the configuration read again, by the supervisor and by us
 * @served: waits for management_on_reread(): all that was saved before is then in force
 *
 * Return: 0, PARENT_E_FULL, or a negative error.
 */
int parent_reread(Parent *parent, Served *served);

/** parent_start() - ask for a domain's agent. Return: 0 or a negative error */
int parent_start(Parent *parent, const DomainName *domain);

/** parent_stop() - have it stopped. Return: 0 or a negative error */
int parent_stop(Parent *parent, const DomainName *domain);
