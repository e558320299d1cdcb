/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The direct calls of an agent whose service is a socket, on a path or behind a TCP port (protocol specification, 6.5 to
 * 6.7). The agent itself stands between the caller's pipes and the socket, and keeps the rules of a framed connection there
 * (5.3): each direction ends by itself, and what nobody takes any more is read and dropped.
 *
 *   DIALING -- connected, descriptor sent --> CARRYING -- both directions ended: the exit code is told --> GONE
 *      `------ refused, or DIAL_LIMIT_USEC is over: 125 ---------------------------------------------------^
 *
 *   DIALING    the service owes an answer; where its backlog is full, it is asked again from time to time
 *   CARRYING   caller or service owe data or their ends
 *   GONE       nothing is left; freed by carrier_table_collect()
 *
 * A caller whose status stream has no reader is gone, and so is the call at once; CALL_KILL ends it as well.
 *
 * The bytes are moved by the kernel (data/flow.h) and never come into this process. A call costs less than a KiB of it and
 * four descriptors, however much goes through; a run moves at most a turn's worth, so none has to wait for another's
 * stream. No name is looked up, and nothing blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/channel.h"
#include "agent/service.h"
#include "agent/watch.h"
#include "data/callee.h"

/** First and longest wait before a service whose backlog was full is asked again; it doubles in between. */
#define CARRIER_RETRY_MIN_USEC UINT64_C(1000)
#define CARRIER_RETRY_MAX_USEC UINT64_C(100000)

enum {
        _CARRIER_E_SUCCESS,
        CARRIER_E_ENDED, /* the call is over, how is in the outcome */
};

typedef struct Carrier Carrier;

/** All of them, and what they share. It must not move. */
typedef struct CarrierTable {
        WatchSet *watches;                  /* not owned */
        int null_fd;                        /* where goes what nobody takes; not owned */
        Carrier *first;                     /* all that are not GONE */
        Carrier *ready_first, **ready_last; /* whose turn was over before they were done */
        Carrier *gone;
        uint64_t dial_usec; /* when one that is DIALING has to be looked at; UINT64_MAX: none */

        /* A call is over. It must not call anything here. */
        void (*on_ended)(void *userdata, uint32_t call_id, const DataOutcome *outcome);
        void *userdata;
} CarrierTable;

#define CARRIER_TABLE_INIT ((CarrierTable){ .null_fd = -1, .dial_usec = UINT64_MAX })

/**
 * carrier_table_init() - no call yet; on_ended is to be set before the first
 * @watches: must outlive it
 * @null_fd: /dev/null, writable; must stay open as long as there are calls
 */
void carrier_table_init(CarrierTable *table, WatchSet *watches, int null_fd);

/** carrier_table_deinit() - close everything: callers and services find their ends closed. Harmless on CARRIER_TABLE_INIT */
void carrier_table_deinit(CarrierTable *table);

/** carrier_table_is_empty() - is no call left? */
static inline bool carrier_table_is_empty(const CarrierTable *table) {
        return !table->first;
}

/** carrier_table_resume() - in a process that was forked to carry on: wait for everything again, in a new WatchSet */
void carrier_table_resume(CarrierTable *table, WatchSet *watches);

/** carrier_table_collect() - free what is GONE: after all events that were taken from the kernel together */
void carrier_table_collect(CarrierTable *table);

/** carrier_table_deadline() - when carrier_table_run() is due; 0: at once; UINT64_MAX: never */
uint64_t carrier_table_deadline(const CarrierTable *table);

/** carrier_table_run() - another turn for those that have more to move, and what was to be done at this time */
void carrier_table_run(CarrierTable *table, uint64_t now_usec);

/**
 * carrier_start() - connect to the socket of a service, and carry
 * @service:     resolved, and no program; it is not needed afterwards
 * @channel:     all three are closed on return, or taken
 * @just_exec:   send the descriptor, and that is all (5.9)
 * @ret_carrier: set for 0
 * @ret_outcome: set for CARRIER_E_ENDED; on_ended is not called for it
 *
 * Return: 0, or CARRIER_E_ENDED: the caller has been told.
 */
int carrier_start(CarrierTable *table, const Service *service, Channel *channel, bool just_exec, uint64_t now_usec,
                  Carrier **ret_carrier, DataOutcome *ret_outcome);

/** carrier_on_event() - something happened to what @watch belongs to; @events: what, as epoll said */
void carrier_on_event(CarrierTable *table, Watch *watch, uint32_t events);

/** carrier_kill() - CALL_KILL: the call is over; its caller is told 143, as of a program that SIGTERM ended */
void carrier_kill(CarrierTable *table, Carrier *carrier, DataOutcome *ret_outcome);
