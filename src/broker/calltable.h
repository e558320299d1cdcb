/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All calls that are open, and what happens to many of them at once: a domain is up, its agent is gone, the broker ends.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/call.h"
#include "broker/callids.h"

typedef struct CallTable {
        Call **buckets;
        size_t n_buckets; /* a power of two */
        size_t n_calls;
        unsigned n_walks; /* over all of it, at this moment: the buckets stay what they are */
        CallIds ids;
} CallTable;

/** call_table_init() - empty, without ids */
int call_table_init(CallTable *table);
/** call_table_deinit() - forget all calls: they go on without us, and agents list them to the next broker */
void call_table_deinit(CallTable *table);
/** call_table_count() - how many calls are in each state */
void call_table_count(const CallTable *table, size_t ret_states[static _CALL_STATE_N]);
/** call_table_find() - Return: a borrowed pointer, or NULL */
Call *call_table_find(const CallTable *table, uint32_t id);

/** call_table_add() - @call has an id that no other has. Return: 0 or a negative error */
int call_table_add(CallTable *table, Call *call);
/** call_table_remove() - nothing if it is not there */
void call_table_remove(CallTable *table, const Call *call);

/**
 * call_table_begin_walk(), call_table_end_walk() - while calls are gone through
 *
 * What is done to one may bring in another, of the broker's own: it must not move those that were not reached yet.
 */
CallTable *call_table_begin_walk(CallTable *table);
void call_table_end_walk(CallTable **table);

/** call_table_on_domain_up() - connect what waits for this target. Return: 0 or a negative error */
int call_table_on_domain_up(CallTable *table, Domain *target);
/** call_table_on_start_failed() - refuse what waits for it. Return: 0 or a negative error */
int call_table_on_start_failed(CallTable *table, Domain *target);
/** call_table_on_link_lost() - refuse what was queued; what runs goes on. Return: 0 or a negative error */
int call_table_on_link_lost(CallTable *table, Domain *target);
/**
 * call_table_on_list() - the agent of @target says what runs there, or ended untold: all else that we thought ran there has ended;
 * what we do not know began under an earlier broker and is entered. @ids is sorted. Return: 0 or a negative error
 */
int call_table_on_list(CallTable *table, Domain *target, uint32_t *ids, size_t n_ids);
/**
 * call_table_restore() - enter what an earlier broker had open in @target, but for what had not been connected: that ends
 * @target: NULL: what is left, whose target is no longer there, ends
 *
 * Return: 0 or a negative error.
 */
int call_table_restore(CallTable *table, Domain *target);
/** call_table_on_drain() - what runs in @target ends with @link, which is no longer the live one */
void call_table_on_drain(CallTable *table, Domain *target, Link *link);
/** call_table_on_drain_list() - so do these, known or not. Return: 0 or a negative error */
int call_table_on_drain_list(CallTable *table, Domain *target, Link *link, const uint32_t *ids, size_t n_ids);
/** call_table_on_drained() - @link has ended */
void call_table_on_drained(CallTable *table, Domain *target, const Link *link);
/** call_table_abandon() - this broker ends: what has not begun never will, and whoever waits for it is not told by us */
void call_table_abandon(CallTable *table);
/** call_table_end_domain() - end what runs in @domain, what it has called, and what waits. Return: 0 or a negative error */
int call_table_end_domain(CallTable *table, Domain *domain);
/** call_table_on_agent_ended() - the supervisor says that the agent is gone for good */
void call_table_on_agent_ended(CallTable *table, Domain *target);
