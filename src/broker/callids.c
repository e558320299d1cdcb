/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/callids.h"

int call_ids_add(CallIds *ids, uint32_t first) {
        if (first == 0 || first > SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK + 1 || ids->spare != 0)
                return CALL_IDS_E_INVALID;
        ids->is_asked = false;
        if (ids->n_left > 0) {
                ids->spare = first;
                return 0;
        }
        ids->next = first;
        ids->n_left = SUPERVISE_IDS_BLOCK;
        return 0;
}

uint32_t call_ids_take(CallIds *ids) {
        if (ids->n_left == 0 && ids->spare != 0) {
                ids->next = ids->spare;
                ids->n_left = SUPERVISE_IDS_BLOCK;
                ids->spare = 0;
        }
        if (ids->n_left == 0)
                return 0;
        --ids->n_left;
        return ids->next++;
}

bool call_ids_may_run(const CallIds *ids, uint32_t id) {
        uint32_t n_ahead = id >= ids->next ? id - ids->next : SUPERVISE_IDS_MAX - ids->next + id;

        return id > 0 && id <= SUPERVISE_IDS_MAX && (ids->next == 0 || n_ahead > SUPERVISE_IDS_MAX / 2);
}

bool call_ids_want_more(CallIds *ids) {
        if (ids->is_asked || ids->spare != 0 || ids->n_left > SUPERVISE_IDS_BLOCK / 2)
                return false;
        ids->is_asked = true;
        return true;
}
