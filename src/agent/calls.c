/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/calls.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

/** Most domains have few calls at a time. */
#define CALLS_BUCKETS_MIN 16

void calls_init(Calls *calls) {
        *calls = (Calls){ 0 };
        calls->ended_last = &calls->ended_first;
}

static void call_free(Call *call) {
        fd_close(call->handler_pidfd);
        fd_close(call->handed_fd);
        free(call);
}

void calls_deinit(Calls *calls) {
        for (size_t i = 0; i < calls->n_buckets; ++i) {
                Call *call;

                while ((call = calls->buckets[i])) {
                        calls->buckets[i] = call->next_same_bucket;
                        call_free(call);
                }
        }
        free(calls->buckets);
        calls_init(calls);
}

/* Ids are given out one after the other, or nearly so: their low bits spread well. */
static Call **calls_bucket(const Calls *calls, uint32_t id) {
        return &calls->buckets[id & (calls->n_buckets - 1)];
}

Call *calls_lookup(const Calls *calls, uint32_t id) {
        Call *call;

        if (calls->n_buckets == 0)
                return NULL;
        for (call = *calls_bucket(calls, id); call; call = call->next_same_bucket)
                if (call->id == id)
                        break;
        return call;
}

static void calls_link(Calls *calls, Call *call) {
        Call **bucket = calls_bucket(calls, call->id);

        call->next_same_bucket = *bucket;
        *bucket = call;
}

static int calls_grow(Calls *calls) {
        Calls larger = { .n_buckets = calls->n_buckets ? calls->n_buckets * 2 : CALLS_BUCKETS_MIN };

        larger.buckets = calloc(larger.n_buckets, sizeof(*larger.buckets));
        if (!larger.buckets)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < calls->n_buckets; ++i) {
                Call *call;

                while ((call = calls->buckets[i])) {
                        calls->buckets[i] = call->next_same_bucket;
                        calls_link(&larger, call);
                }
        }
        free(calls->buckets);
        calls->buckets = larger.buckets;
        calls->n_buckets = larger.n_buckets;
        return 0;
}

int calls_add(Calls *calls, uint32_t id, uint64_t now_usec, Call **ret_call) {
        Call *call;
        int r;

        if (calls_lookup(calls, id))
                return CALLS_E_EXISTS;
        if (calls->n_calls >= CALL_LIST_MAX)
                return CALLS_E_FULL;
        if (calls->n_calls >= calls->n_buckets) {
                r = calls_grow(calls);
                if (r)
                        return r;
        }
        call = malloc(sizeof(*call));
        if (!call)
                return error_origin(-ENOMEM);
        *call = (Call){
                .id = id,
                .state = CALL_STATE_RUNNING,
                .handler_pidfd = -1,
                .handed_fd = -1,
                .watch = { WATCH_KIND_HANDLER },
                .handed_watch = { WATCH_KIND_HANDED },
                .started_usec = now_usec,
        };
        calls_link(calls, call);
        ++calls->n_calls;
        *ret_call = call;
        return 0;
}

void calls_end(Calls *calls, Call *call, CallHow how, int status, uint64_t now_usec) {
        call->handler_pidfd = fd_close(call->handler_pidfd);
        call->handed_fd = fd_close(call->handed_fd);
        call->direct = NULL;
        call->carrier = NULL;
        call->state = CALL_STATE_ENDED;
        call->ended =
                (CallEnded){ .id = call->id, .how = how, .status = status, .run_usec = now_usec - call->started_usec };
        *calls->ended_last = call;
        calls->ended_last = &call->next_ended;
}

void calls_remove(Calls *calls, Call *call) {
        Call **link = calls_bucket(calls, call->id);

        while (*link != call)
                link = &(*link)->next_same_bucket;
        *link = call->next_same_bucket;
        if (call == calls->ended_first) {
                calls->ended_first = call->next_ended;
                if (!calls->ended_first)
                        calls->ended_last = &calls->ended_first;
        }
        --calls->n_calls;
        call_free(call);
}

size_t calls_list(const Calls *calls, uint32_t *ret_ids) {
        size_t n = 0;

        for (size_t i = 0; i < calls->n_buckets; ++i)
                for (const Call *call = calls->buckets[i]; call; call = call->next_same_bucket)
                        ret_ids[n++] = call->id;
        return n;
}
