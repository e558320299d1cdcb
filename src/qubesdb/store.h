/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of one domain, ordered by path, and the sessions that want to hear of changes. A change is told to every
 * session when it is made, by whomever; what it does with that is in qubesdb/session.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "qubesdb/message.h"

typedef struct QubesdbSession QubesdbSession;

/** Entries of one domain: a relay has three for each remote domain, of which there are thousands at most. */
#define QUBESDB_ENTRIES_MAX 16384

typedef struct QubesdbEntry {
        QubesdbPath path;
        size_t n_value;
        char *value; /* NUL-terminated, without another NUL */
} QubesdbEntry;

typedef struct QubesdbStore {
        QubesdbEntry *entries; /* ascending, as strcmp(3) orders */
        size_t n_entries, n_allocated;
        QubesdbSession *sessions; /* borrowed: each takes itself out */
} QubesdbStore;

enum {
        _QUBESDB_STORE_E_SUCCESS,
        QUBESDB_STORE_E_PATH,  /* no entry may have it */
        QUBESDB_STORE_E_VALUE, /* longer than QUBESDB_VALUE_MAX, or with a NUL */
        QUBESDB_STORE_E_FULL,  /* QUBESDB_ENTRIES_MAX */
        QUBESDB_STORE_E_NONE,  /* there was nothing to remove */
};

/** qubesdb_store_new() - an empty one. Return: 0 or a negative error */
int qubesdb_store_new(QubesdbStore **ret_store);
/** qubesdb_store_free() - must have no sessions any more. Accepts NULL. Return: NULL */
QubesdbStore *qubesdb_store_free(QubesdbStore *store);
DEFINE_CLEANUP(QubesdbStore *, qubesdb_store_free)

/** qubesdb_store_find() - index of the first entry whose path is not below @path; n_entries if there is none */
size_t qubesdb_store_find(const QubesdbStore *store, const QubesdbPath *path);

/** qubesdb_store_get() - Return: a borrowed entry, or NULL */
const QubesdbEntry *qubesdb_store_get(const QubesdbStore *store, const QubesdbPath *path);

/** qubesdb_store_write() - create or replace, and tell the sessions. Return: 0, QUBESDB_STORE_E_… or a negative error */
int qubesdb_store_write(QubesdbStore *store, const QubesdbPath *path, const char *untrusted_value, size_t n_value);

/** qubesdb_store_put() - the same for a text of ours. Return: 0 or a negative error */
int qubesdb_store_put(QubesdbStore *store, const char *path, const char *value);

/**
 * qubesdb_store_remove() - remove one entry or, if @path ends in a slash, all that begin with it; tell the sessions
 *
 * Return: 0, QUBESDB_STORE_E_NONE, or a negative error.
 */
int qubesdb_store_remove(QubesdbStore *store, const QubesdbPath *path);

/**
 * qubesdb_store_change() - write what differs between @from and @to into @store, entry by entry
 *
 * So what somebody else wrote there stays, as long as @to says nothing new about it. Return: 0 or a negative error.
 */
int qubesdb_store_change(QubesdbStore *store, const QubesdbStore *from, const QubesdbStore *to);
