/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of an agent, by id. A call is in the table from the message that starts it until the broker has been told
 * its end, so that no id is taken twice and no end is told twice.
 *
 *   RUNNING -- its handler, program or socket is done --> ENDED -- CALL_ENDED sent --> (removed)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/watch.h"
#include "wire/call.h"

typedef struct Carrier Carrier;
typedef struct Direct Direct;
typedef struct Waiting Waiting;

enum {
        _CALLS_E_SUCCESS,
        CALLS_E_EXISTS, /* a call with this id is in the table */
        CALLS_E_FULL,   /* CALL_LIST_MAX calls are in it: the ids of more would not fit one packet */
};

typedef enum CallState {
        CALL_STATE_RUNNING,
        CALL_STATE_ENDED,
} CallState;

typedef struct Call {
        uint32_t id;
        CallState state;
        int handler_pidfd; /* RUNNING, with a handler; owned; else -1 */
        Direct *direct;    /* RUNNING, a program without one; not owned; else NULL */
        Carrier *carrier;  /* RUNNING, a socket without one; not owned; else NULL */
        Waiting *waiting;  /* RUNNING, as the broker sees it, but it waits for the session; not owned; else NULL */
        int handed_fd;     /* RUNNING, handed to a fork server: the connection; owned; else -1 */
        uint64_t started_usec;
        bool killed;     /* the broker wanted it so */
        bool has_waited; /* for the session */
        bool reported;   /* the handler said how it ended, in @ended */
        CallEnded ended; /* valid if reported, or in ENDED */
        void *owner;     /* whatever the owner of the calls has to remember; NULL at first */
        Watch watch;     /* of handler_pidfd */
        Watch handed_watch;
        struct Call *next_same_bucket;
        struct Call *next_ended;
} Call;

typedef struct Calls {
        Call **buckets;
        size_t n_buckets; /* 0 or a power of two */
        size_t n_calls;
        Call *ended_first, **ended_last; /* ENDED, in the order of their ends */
} Calls;

/** calls_init() - an empty table; *@calls must not move while it holds calls */
void calls_init(Calls *calls);

/** calls_deinit() - forget all calls and close their pidfds; what they run goes on */
void calls_deinit(Calls *calls);

/** calls_lookup() - the call with this id, or NULL */
Call *calls_lookup(const Calls *calls, uint32_t id);

/**
 * calls_add() - a new call in RUNNING, without a pidfd yet; the table owns it
 *
 * Return: 0, CALLS_E_…, or a negative error.
 */
int calls_add(Calls *calls, uint32_t id, uint64_t now_usec, Call **ret_call);

/** calls_end() - RUNNING to ENDED: close what is owned, remember @how and @status, and queue it to be told */
void calls_end(Calls *calls, Call *call, CallHow how, int status, uint64_t now_usec);

/** calls_remove() - free a call: one that never began, or the first of the ended ones */
void calls_remove(Calls *calls, Call *call);

/**
 * calls_list() - the ids of all calls in @ret_ids, which holds CALL_LIST_MAX: those that run, and those whose end the
 * broker has not been told
 *
 * Return: their number.
 */
size_t calls_list(const Calls *calls, uint32_t *ret_ids);
