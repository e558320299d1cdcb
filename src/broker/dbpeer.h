/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a QubesDB socket: bytes between it and a session (qubesdb/session.h). A domain reads what the
 * inventory says of it and what the host has written there besides; only the host writes. A domain's entries are made
 * when somebody first asks, and brought up to date before each answer and at each reload; what the host wrote is gone
 * with this process.
 */
#pragma once

#include <stdbool.h>

typedef struct Broker Broker;
typedef struct DbPeer DbPeer;
typedef struct Domain Domain;

/** Connections of one domain, and of the host to it: what upstream's daemon takes (QubesDB specification, 2). */
#define DBPEER_MAX 256

/**
 * dbpeer_new() - serve a connection
 * @domain:    whose entries
 * @may_write: the host asks
 * @fd:        owned from here on, also on failure
 *
 * Return: 0 or a negative error.
 */
int dbpeer_new(Domain *domain, bool may_write, int fd);

/** dbpeer_free_all() - close the domain's connections, and forget its entries */
void dbpeer_free_all(Domain *domain);

/** dbpeer_refresh_all() - the inventory was read again: who watches is told what changed. Return: 0 or a negative error */
int dbpeer_refresh_all(Broker *broker);
