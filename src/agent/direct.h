/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The direct calls of an agent: programs that have the caller's pipes as stdin and stdout. Nobody carries their data;
 * what is left is their stderr, a pipe that the agent reads, and their end.
 *
 *   RUNNING -- the program exited --> DRAINING -- what it had written to stderr is sent --> TELLING
 *   TELLING -- the exit code is sent, or nobody wants it: the call is over --> TAIL -- stderr has no writer --> freed
 *
 *   RUNNING    the program owes output to stderr, and its exit; both are events
 *   DRAINING   the caller owes room for what was in the pipe at the exit, and not for more: a process that the program
 *              left behind may hold its stderr for ever, and must not hold up the exit code
 *   TELLING    the caller owes room for the exit code
 *   TAIL       the call is over; what such processes still write goes to the log alone
 *
 * A caller that does not read its status stream stops the reading of that one service's stderr, and nothing else.
 * A call costs less than a KiB here, three descriptors, and no process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/channel.h"
#include "agent/service.h"
#include "agent/servicelog.h"
#include "agent/watch.h"
#include "data/callee.h"

/** After CALL_KILL has sent SIGTERM, a service has this long before SIGKILL. */
#define DIRECT_KILL_USEC UINT64_C(5000000)
/** Processes left behind whose stderr is kept open for them; those of more calls lose it. */
#define DIRECT_TAILS_MAX 1024

enum {
        _DIRECT_E_SUCCESS,
        DIRECT_E_ENDED, /* the call is over, how is in the outcome; the object lives on as a tail */
};

typedef enum DirectState {
        DIRECT_STATE_RUNNING,
        DIRECT_STATE_DRAINING,
        DIRECT_STATE_TELLING,
        DIRECT_STATE_TAIL,
        DIRECT_STATE_GONE, /* nothing is left; freed by direct_table_collect() */
} DirectState;

typedef struct Direct Direct;

/** All of them, and what they share. It must not move. */
typedef struct DirectTable {
        WatchSet *watches; /* not owned */
        ServicelogSink sink;
        SpawnSlots slots;
        Direct *first;                       /* all that are not GONE */
        Direct *killed_first, **killed_last; /* SIGTERM was sent, in the order of their deadlines */
        Direct *gone;
        size_t n_tails;
} DirectTable;

#define DIRECT_TABLE_INIT ((DirectTable){ .sink = SERVICELOG_SINK_INIT, .slots = SPAWN_SLOTS_INIT })

/** direct_table_init() - @watches must outlive it. Return: 0 or a negative error */
int direct_table_init(DirectTable *table, WatchSet *watches, const ServiceSettings *settings);

/** direct_table_has_stderr() - does a program have a stderr that somebody must go on reading? */
bool direct_table_has_stderr(const DirectTable *table);

/**
 * direct_table_resume() - in a process that was forked when the agent ends: go on reading the programs' stderr, for the log
 *
 * What the agent has started does not end with it, and must not die of writing to stderr. Its callers find their status
 * streams closed. Return: 0 or a negative error.
 */
int direct_table_resume(DirectTable *table, WatchSet *watches);

/** direct_table_leave() - in the agent, then: the beginnings of lines are with that process now */
void direct_table_leave(DirectTable *table);

/** direct_table_is_empty() - is no call left, and no tail? */
static inline bool direct_table_is_empty(const DirectTable *table) {
        return !table->first;
}

/** direct_table_deinit() - forget all. Harmless on DIRECT_TABLE_INIT */
void direct_table_deinit(DirectTable *table);

/** direct_table_collect() - free what is GONE: after all events that were taken from the kernel together */
void direct_table_collect(DirectTable *table);

/** direct_table_deadline() - when direct_table_on_deadline() is due; UINT64_MAX: never */
uint64_t direct_table_deadline(const DirectTable *table);
void direct_table_on_deadline(DirectTable *table, uint64_t now_usec);

/**
 * direct_start() - start a program
 * @service:   resolved, and a program
 * @channel:   all three are closed on return, or taken
 * @ret_direct: set for 0
 *
 * Return: 0; DIRECT_E_ENDED: not started, or (@just_exec) nobody waits for its end; the caller has been told.
 */
int direct_start(DirectTable *table, const Service *service, Channel *channel, bool just_exec, Direct **ret_direct,
                 DataOutcome *ret_outcome);

/**
 * direct_on_event() - something happened to what @watch belongs to
 * @events: what, as epoll said
 * @ret_call_id, @ret_outcome: set for DIRECT_E_ENDED
 *
 * Return: 0, DIRECT_E_ENDED, or a negative error.
 */
int direct_on_event(DirectTable *table, Watch *watch, uint32_t events, uint32_t *ret_call_id, DataOutcome *ret_outcome);

/** direct_kill() - CALL_KILL: SIGTERM to its process group now, SIGKILL later; its end is an event as any other */
void direct_kill(DirectTable *table, Direct *direct, uint64_t now_usec);
