/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of QubesDB, for programs that do one thing at a time: every function waits for its reply (QubesDB
 * specification, 3.5). Events that arrive meanwhile are kept, and handed out first in, first out.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "qubesdb/message.h"

#define QUBESDB_RUN_DIR "/run/qubes"

typedef struct QubesdbClient QubesdbClient;

enum {
        _QUBESDB_CLIENT_E_SUCCESS,
        QUBESDB_CLIENT_E_CONNECT, /* nobody is there; errno says why */
        QUBESDB_CLIENT_E_PATH,    /* no path: not sent */
        QUBESDB_CLIENT_E_NONE,    /* there is no such entry */
        QUBESDB_CLIENT_E_REFUSED, /* the daemon said no */
        QUBESDB_CLIENT_E_GONE,    /* the daemon went away, or does not speak the protocol */
};

/**
 * qubesdb_client_open() - connect
 * @domain: whose entries, on the host (trusted: it is part of a path); NULL: our own
 *
 * The socket for reading and writing is tried, then the one for reading.
 * Return: 0, QUBESDB_CLIENT_E_CONNECT, or a negative error.
 */
int qubesdb_client_open(const char *domain, QubesdbClient **ret_client);
/** qubesdb_client_close() - watches end with it. Accepts NULL. Return: NULL */
QubesdbClient *qubesdb_client_close(QubesdbClient *client);
DEFINE_CLEANUP(QubesdbClient *, qubesdb_client_close)

/**
 * qubesdb_client_read() - the value of one entry
 * @ret_value: @ret_n bytes and a NUL that is not counted; the caller frees it
 *
 * Return: 0, QUBESDB_CLIENT_E_…, or a negative error.
 */
int qubesdb_client_read(QubesdbClient *client, const char *path, char **ret_value, size_t *ret_n);

/** What a list calls for each entry; @value is NULL for qubesdb_client_list(). Return: 0, or what ends the list */
typedef int (*QubesdbClientEntry)(void *userdata, const QubesdbPath *path, const char *value, size_t n_value);

/** qubesdb_client_list() - the paths that begin with @prefix. Return: 0, QUBESDB_CLIENT_E_…, or a negative error */
int qubesdb_client_list(QubesdbClient *client, const char *prefix, QubesdbClientEntry entry, void *userdata);
/** qubesdb_client_multiread() - the entries whose paths begin with @prefix. Return: as qubesdb_client_list() */
int qubesdb_client_multiread(QubesdbClient *client, const char *prefix, QubesdbClientEntry entry, void *userdata);

/** qubesdb_client_write() - Return: 0, QUBESDB_CLIENT_E_…, or a negative error */
int qubesdb_client_write(QubesdbClient *client, const char *path, const char *value, size_t n_value);
/** qubesdb_client_remove() - what is absent counts as removed (3.5). Return: 0, QUBESDB_CLIENT_E_… or negative */
int qubesdb_client_remove(QubesdbClient *client, const char *path);

/** qubesdb_client_watch() - hear of changes of @path. Return: 0, QUBESDB_CLIENT_E_…, or a negative error */
int qubesdb_client_watch(QubesdbClient *client, const char *path);
/** qubesdb_client_next() - wait for a change. Return: 0, QUBESDB_CLIENT_E_GONE, or a negative error */
int qubesdb_client_next(QubesdbClient *client, QubesdbPath *ret_path);

/** qubesdb_client_error_text() - words for a QUBESDB_CLIENT_E_… code */
const char *qubesdb_client_error_text(int r);
