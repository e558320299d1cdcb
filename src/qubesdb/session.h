/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of one client's connection, without the connection: bytes in, bytes out (QubesDB specification,
 * 3.2 to 3.4). One command is in progress at a time, and no further one is taken while anything waits to be sent; so
 * a client that does not read makes us hold one answer, and a bounded number of events.
 *
 *   taking a command -- it is whole --> answering -- all was sent --> taking a command
 *
 * A reply to LIST or MULTIREAD is made piece by piece, from wherever the store stands by then. Events come after the
 * reply in progress.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "qubesdb/message.h"
#include "qubesdb/store.h"

/** Watches of one client: far above honest use. */
#define QUBESDB_WATCHES_MAX 256
/** Events that wait for a client that does not read: a reload of a large inventory makes thousands at once. */
#define QUBESDB_EVENTS_MAX 16384
/** Room that qubesdb_session_send() needs at least: one whole message. */
#define QUBESDB_MESSAGE_MAX (QUBESDB_HEADER_SIZE + QUBESDB_VALUE_MAX)

struct QubesdbSession {
        QubesdbStore *store;
        QubesdbSession *next, **place; /* in the store's list */
        bool may_write;

        uint8_t input[QUBESDB_MESSAGE_MAX]; /* a command that is not whole yet */
        size_t n_input;
        uint32_t n_discard; /* data of a refused command that is still to come */

        QubesdbMessage reply; /* while is_answering: what is to be sent, or the list that is being sent */
        bool is_answering;
        bool is_descending;
        QubesdbPath after; /* of a list: the last that was sent; empty: none yet */
        bool is_closing;   /* after this reply */

        QubesdbPath *watches; /* oldest first */
        size_t n_watches;
        QubesdbPath *events; /* a ring of n_events_allocated */
        size_t first_event, n_events, n_events_allocated;
};

enum {
        _QUBESDB_SESSION_E_SUCCESS,
        QUBESDB_SESSION_E_CLOSE, /* close the connection */
};

/**
 * qubesdb_session_new() - begin one, and hear of changes
 * @store:     outlives the session
 * @may_write: else WRITE and RM are answered with an error (QubesDB specification, 2)
 *
 * Return: 0 or a negative error.
 */
int qubesdb_session_new(QubesdbStore *store, bool may_write, QubesdbSession **ret_session);
/** qubesdb_session_free() - accepts NULL. Return: NULL */
QubesdbSession *qubesdb_session_free(QubesdbSession *session);
DEFINE_CLEANUP(QubesdbSession *, qubesdb_session_free)

/** qubesdb_session_wants_input() - may more commands be taken? Not while something is to be sent */
bool qubesdb_session_wants_input(const QubesdbSession *session);

/**
 * qubesdb_session_receive() - take bytes, up to the end of a command that has to be answered
 * @ret_taken: how many; call again with the rest once all was sent
 *
 * Return: 0, QUBESDB_SESSION_E_CLOSE, or a negative error.
 */
int qubesdb_session_receive(QubesdbSession *session, const uint8_t *untrusted_data, size_t n, size_t *ret_taken);

/**
 * qubesdb_session_send() - the next messages to send, as many whole ones as fit
 * @n_max: at least QUBESDB_MESSAGE_MAX
 * @ret_n: 0: nothing is to be sent
 *
 * Return: 0, or QUBESDB_SESSION_E_CLOSE: the connection ends when all of this was sent.
 */
int qubesdb_session_send(QubesdbSession *session, uint8_t *ret_data, size_t n_max, size_t *ret_n);

/** qubesdb_session_on_change() - told by the store: an event for each watch that matches. Return: 0 or a negative error */
int qubesdb_session_on_change(QubesdbSession *session, const QubesdbPath *path);
