/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent sends on is the same request to a daemon, whatever its version, with another ident; or nothing. */
#include "fuzz.h"

#include <string.h>

#include "wire/header.h"
#include "wire/trigger.h"

static uint32_t forwarded_type(uint32_t version) {
        switch (version) {
        case 2:
                return WIRE_TYPE_TRIGGER_SERVICE2;
        case 3:
                return WIRE_TYPE_TRIGGER_SERVICE3;
        default:
                return WIRE_TYPE_TRIGGER_SERVICE4;
        }
}

/* The payload of a TRIGGER_SERVICE4. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        const Ident ident = { "SOCKET7" };

        for (uint32_t version = 2; version <= 4; ++version) {
                _cleanup_(trigger_freep) Trigger *before = NULL, *after = NULL;
                uint8_t field[IDENT_SIZE], forwarded_field[IDENT_SIZE];
                int before_r, r;
                WireHeader header;
                size_t n_message;

                r = trigger_forward(data, n, version, &ident, message, sizeof(message), &n_message);
                fuzz_check(r >= 0);
                fuzz_check((r == TRIGGER_E_MALFORMED) == !trigger_size_is_valid(WIRE_TYPE_TRIGGER_SERVICE4, n));
                fuzz_check(version < 4 || r != TRIGGER_E_REFUSED);
                if (r)
                        continue;

                fuzz_check(wire_header_decode(message, n_message, &header) == 0);
                fuzz_check(header.type == forwarded_type(version) && header.length == n_message - WIRE_HEADER_SIZE);
                r = trigger_decode(header.type, message + WIRE_HEADER_SIZE, header.length, forwarded_field, &after);
                fuzz_check(memcmp(forwarded_field, ident.text, IDENT_SIZE) == 0);
                before_r = trigger_decode(WIRE_TYPE_TRIGGER_SERVICE4, data, n, field, &before);
                if (before_r)
                        continue; /* it may have been the ident */
                fuzz_check(r == 0);
                fuzz_check(strcmp(before->service, after->service) == 0);
                fuzz_check(strcmp(before->target.text, after->target.text) == 0);
                fuzz_check(strcmp(before->source.text, after->source.text) == 0);
        }
        return 0;
}
