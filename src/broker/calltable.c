/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/calltable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "broker/book.h"
#include "broker/broker.h"
#include "wire/call.h"

#define CALL_TABLE_BUCKETS_MIN 64

int call_table_init(CallTable *table) {
        *table = (CallTable){};
        table->buckets = calloc(CALL_TABLE_BUCKETS_MIN, sizeof(*table->buckets));
        if (!table->buckets)
                return error_origin(-ENOMEM);
        table->n_buckets = CALL_TABLE_BUCKETS_MIN;
        return 0;
}

static Call **call_table_bucket(const CallTable *table, uint32_t id) {
        return &table->buckets[id & (table->n_buckets - 1)];
}

Call *call_table_find(const CallTable *table, uint32_t id) {
        for (Call *call = *call_table_bucket(table, id); call; call = call->next)
                if (call->id == id)
                        return call;
        return NULL;
}

static int call_table_grow(CallTable *table) {
        CallTable larger = { .n_buckets = table->n_buckets * 2 };

        larger.buckets = calloc(larger.n_buckets, sizeof(*larger.buckets));
        if (!larger.buckets)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < table->n_buckets; ++i) {
                while (table->buckets[i]) {
                        Call *call = table->buckets[i];
                        Call **bucket = call_table_bucket(&larger, call->id);

                        table->buckets[i] = call->next;
                        call->next = *bucket;
                        *bucket = call;
                }
        }
        free(table->buckets);
        table->buckets = larger.buckets;
        table->n_buckets = larger.n_buckets;
        return 0;
}

void call_table_count(const CallTable *table, size_t ret_states[static _CALL_STATE_N]) {
        memset(ret_states, 0, _CALL_STATE_N * sizeof(*ret_states));
        for (size_t i = 0; i < table->n_buckets; ++i)
                for (const Call *call = table->buckets[i]; call; call = call->next)
                        ++ret_states[call->state];
}

int call_table_add(CallTable *table, Call *call) {
        Call **bucket;

        if (table->n_calls >= table->n_buckets && table->n_walks == 0) {
                int r = call_table_grow(table);

                if (r)
                        return r;
        }
        bucket = call_table_bucket(table, call->id);
        call->next = *bucket;
        *bucket = call;
        ++table->n_calls;
        return 0;
}

void call_table_remove(CallTable *table, const Call *call) {
        for (Call **place = call_table_bucket(table, call->id); *place; place = &(*place)->next) {
                if (*place == call) {
                        *place = call->next;
                        --table->n_calls;
                        return;
                }
        }
}

void call_table_deinit(CallTable *table) {
        for (size_t i = 0; i < table->n_buckets; ++i)
                while (table->buckets[i])
                        call_free(table->buckets[i]);
        free(table->buckets);
        *table = (CallTable){};
}

CallTable *call_table_begin_walk(CallTable *table) {
        ++table->n_walks;
        return table;
}

void call_table_end_walk(CallTable **table) {
        --(*table)->n_walks;
}

/* Every call of @target in @state; the body may free the call. */
#define call_table_foreach(_table, _call, _target, _state)                                                 \
        for (size_t _bucket = 0; _bucket < (_table)->n_buckets; ++_bucket)                                 \
                for (Call *_call = (_table)->buckets[_bucket], *_next = _call ? _call->next : NULL; _call; \
                     _call = _next, _next = _call ? _call->next : NULL)                                    \
                        if (_call->target == (_target) && _call->state == (_state))

int call_table_on_domain_up(CallTable *table, Domain *target) {
        _cleanup_(call_table_end_walk) CallTable *walked = call_table_begin_walk(table);

        call_table_foreach(walked, call, target, CALL_STATE_STARTING) {
                int r = call_connect(call);

                if (r)
                        return error_trace(r);
        }
        return 0;
}

/* The target of every call in @state is not there any more. */
static int call_table_refuse(CallTable *table, Domain *target, CallState state, const char *why) {
        _cleanup_(call_table_end_walk) CallTable *walked = call_table_begin_walk(table);

        call_table_foreach(walked, call, target, state) {
                int r = call_refuse(call, REPLY_REASON_UNAVAILABLE, why);

                if (r)
                        return error_trace(r);
        }
        return 0;
}

int call_table_on_start_failed(CallTable *table, Domain *target) {
        return error_trace(call_table_refuse(table, target, CALL_STATE_STARTING, "the target could not be started"));
}

int call_table_on_link_lost(CallTable *table, Domain *target) {
        return error_trace(call_table_refuse(table, target, CALL_STATE_CONNECTING, "the agent went away"));
}

static int call_compare_ids(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

/*
 * A call that began under an earlier broker; known ones stay as they are. What nobody can have begun is not entered: an agent
 * that takes the ids of calls to come would keep others from calling. Nor is more than an agent can run: each costs us memory,
 * and a record of its end.
 */
static int call_enter(CallTable *table, Domain *target, uint32_t id) {
        Call *call;
        int r;

        if (!call_ids_may_run(&table->ids, id) || target->n_calls_here >= CALL_LIST_MAX || call_table_find(table, id))
                return 0;
        r = call_new(target->broker, id, NULL, target, "", clock_now(), &call);
        if (r)
                return error_trace(r);
        call->state = CALL_STATE_RUNNING;
        return 0;
}

int call_table_on_list(CallTable *table, Domain *target, uint32_t *ids, size_t n_ids) {
        qsort(ids, n_ids, sizeof(*ids), call_compare_ids);
        call_table_foreach(table, call, target, CALL_STATE_RUNNING) {
                if (call->drained_by || bsearch(&call->id, ids, n_ids, sizeof(*ids), call_compare_ids))
                        continue;
                call_end(call, "unknown", "it ended while its agent was away", -1, 0);
        }
        for (size_t i = 0; i < n_ids; ++i) {
                int r = call_enter(table, target, ids[i]);

                if (r)
                        return error_trace(r);
        }
        return 0;
}

void call_table_on_drain(CallTable *table, Domain *target, Link *link) {
        call_table_foreach(table, call, target, CALL_STATE_RUNNING) {
                call->drained_by = call->drained_by ?: link;
        }
}

int call_table_on_drain_list(CallTable *table, Domain *target, Link *link, const uint32_t *ids, size_t n_ids) {
        for (size_t i = 0; i < n_ids; ++i) {
                Call *call;
                int r;

                r = call_enter(table, target, ids[i]);
                if (r)
                        return error_trace(r);
                call = call_table_find(table, ids[i]);
                if (call && call->target == target && call->state == CALL_STATE_RUNNING && !call->drained_by)
                        call->drained_by = link;
        }
        return 0;
}

void call_table_on_drained(CallTable *table, Domain *target, const Link *link) {
        call_table_foreach(table, call, target, CALL_STATE_RUNNING) {
                if (call->drained_by == link)
                        call_end(call, "unknown", "its agent ended before it", -1, 0);
        }
}

static int call_restore(Broker *broker, uint32_t place, const BookEntry *entry, Domain *target) {
        Call *call;
        int r;

        r = call_new(broker, entry->call, NULL, target, entry->service, entry->start_usec, &call);
        if (r)
                return error_trace(r);
        call->place = place;
        call->source_name = entry->source;
        call->relay_name = entry->relay;
        call->target_name = entry->target_name;
        call->n_argument = entry->n_argument;
        call->state = CALL_STATE_RUNNING;
        if (target == broker->strangers && call->target_name.text[0] == '\0')
                strcpy(call->target_name.text, entry->target.text); /* shorter */
        if (target == broker->strangers)
                call_end(call, "unknown", "its target is no longer there, and neither is the broker that began it", -1,
                         0);
        else if (entry->is_served)
                call_end(call, "unknown", "the broker that answered it died", -1, 0);
        else if (!entry->is_sent)
                call_end(call, "not connected", "the broker that began it was gone before its agent was told", 125, 0);
        return 0;
}

int call_table_restore(CallTable *table, Domain *target) {
        Broker *broker = container_of(table, Broker, calls);

        for (uint32_t place = 0; broker->book && place < book_n_places(broker->book); ++place) {
                BookEntry entry;
                int r;

                if (!book_read(broker->book, place, &entry) || call_table_find(table, entry.call) ||
                    (target && strcmp(entry.target.text, target->name.text) != 0))
                        continue;
                r = call_restore(broker, place, &entry, target ?: broker->strangers);
                if (r)
                        return error_trace(r);
        }
        return 0;
}

void call_table_abandon(CallTable *table) {
        _cleanup_(call_table_end_walk) CallTable *walked = call_table_begin_walk(table);

        for (size_t bucket = 0; bucket < walked->n_buckets; ++bucket) {
                for (Call *call = walked->buckets[bucket], *next; call; call = next) {
                        next = call->next;
                        if (call->state == CALL_STATE_RUNNING)
                                continue;
                        call->origin = NULL;
                        /* Who asks a person has no record yet, and asks the next broker again. */
                        if (call->state == CALL_STATE_ASKING)
                                call_free(call);
                        else
                                call_end(call, "not connected", "the broker ended", 125, 0);
                }
        }
}

int call_table_end_domain(CallTable *table, Domain *domain) {
        _cleanup_(call_table_end_walk) CallTable *walked = call_table_begin_walk(table);

        for (size_t bucket = 0; bucket < walked->n_buckets; ++bucket) {
                for (Call *call = walked->buckets[bucket], *next; call; call = next) {
                        CallState state = call->state;
                        int r;

                        next = call->next;
                        if (call->target != domain && call->source != domain)
                                continue;
                        r = call_kill(call);
                        if (r < 0)
                                return error_trace(r);
                        /* One that had not begun is gone, and perhaps our own call with it that asked a person. */
                        if (state != CALL_STATE_RUNNING)
                                next = walked->buckets[bucket];
                        /* CALL_KILL_E_AWAY: the end of its agent is what we will hear of. */
                }
        }
        return 0;
}

void call_table_on_agent_ended(CallTable *table, Domain *target) {
        call_table_foreach(table, call, target, CALL_STATE_RUNNING) {
                if (!call->drained_by)
                        call_end(call, "unknown", "its agent died, and nobody knows more", -1, 0);
        }
}
