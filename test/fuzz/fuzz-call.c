/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/call.h"
#include "wire/header.h"

/* A whole message of those that only local links carry, header included. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint32_t ids[CALL_LIST_MAX];
        static uint8_t again[WIRE_HEADER_SIZE + 4 * CALL_LIST_MAX];
        size_t n_again = 0, n_ids;
        WireHeader header;
        CallEnded ended;
        uint32_t id;

        if (wire_header_decode(data, n, &header) || header.length != n - WIRE_HEADER_SIZE)
                return 0;
        switch (header.type) {
        case WIRE_TYPE_CALL_ENDED:
                if (call_ended_decode(data + WIRE_HEADER_SIZE, header.length, &ended))
                        return 0;
                fuzz_check(ended.how < _CALL_HOW_N && ended.status >= 0 && ended.status <= 255);
                fuzz_check(strcmp(call_how_text(ended.how), "unknown") != 0);
                call_ended_encode(&ended, again);
                n_again = WIRE_HEADER_SIZE + CALL_ENDED_SIZE;
                break;
        case WIRE_TYPE_CALL_KILL:
                if (call_kill_decode(data + WIRE_HEADER_SIZE, header.length, &id))
                        return 0;
                call_kill_encode(id, again);
                n_again = WIRE_HEADER_SIZE + CALL_KILL_SIZE;
                break;
        case WIRE_TYPE_CALL_LIST:
                if (call_list_decode(data + WIRE_HEADER_SIZE, header.length, ids, &n_ids))
                        return 0;
                fuzz_check(n_ids <= CALL_LIST_MAX);
                fuzz_check(call_list_encode(ids, n_ids, again, sizeof(again), &n_again) == 0);
                break;
        case WIRE_TYPE_CALL_DRAIN:
                if (call_list_decode(data + WIRE_HEADER_SIZE, header.length, ids, &n_ids))
                        return 0;
                fuzz_check(call_drain_encode(ids, n_ids, again, sizeof(again), &n_again) == 0);
                break;
        default:
                return 0;
        }
        fuzz_check(n_again == n && memcmp(again, data, n) == 0);
        return 0;
}
