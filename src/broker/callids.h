/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ids that this broker may give to calls. They come from the supervisor in blocks, each of which was written down
 * as taken before it was sent (wire/supervise.h): so an id that an agent may still run, from an earlier broker or an
 * earlier supervisor, is not given out again. The next block is asked for when half of one is used up; a broker that
 * has none left refuses calls.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/supervise.h"

typedef struct CallIds {
        uint32_t next, n_left;
        uint32_t spare; /* the first id of the next block; 0: has not come */
        bool is_asked;
} CallIds;

enum {
        _CALL_IDS_E_SUCCESS,
        CALL_IDS_E_INVALID, /* no block that a supervisor would send, or one too many */
};

/** call_ids_add() - a block has come. Return: 0 or CALL_IDS_E_INVALID */
int call_ids_add(CallIds *ids, uint32_t first);
/** call_ids_take() - Return: an id, or 0: there is none */
uint32_t call_ids_take(CallIds *ids);
/**
 * call_ids_may_run() - may there be a call with this id that began under an earlier broker?
 *
 * Ids are given out in order, round and round: those up to half the way round ahead are still to come, and whoever names one
 * makes it up. Without a block nobody can tell: true.
 */
bool call_ids_may_run(const CallIds *ids, uint32_t id);
/** call_ids_want_more() - true once for each block: ask for another */
bool call_ids_want_more(CallIds *ids);
