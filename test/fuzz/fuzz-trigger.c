/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/header.h"
#include "wire/trigger.h"

static void check_text(const char *text, const char *allowed) {
        fuzz_check(text[strspn(text, allowed)] == '\0');
}

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

/*
 * A whole message, header included. The prescribed rewriting makes the encoding differ from what came, but only once:
 * what was decoded, encoded and decoded again encodes to the same bytes.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t first[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX], second[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        uint8_t field[IDENT_SIZE], field_again[IDENT_SIZE];
        _cleanup_(trigger_freep) Trigger *trigger = NULL, *again = NULL;
        size_t n_first, n_second;
        WireHeader header;
        int r;

        if (wire_header_decode(data, n, &header))
                return 0;
        r = trigger_decode(header.type, data + WIRE_HEADER_SIZE, n - WIRE_HEADER_SIZE, field, &trigger);
        fuzz_check(r >= 0);
        fuzz_check((r == TRIGGER_E_MALFORMED) == !trigger_size_is_valid(header.type, n - WIRE_HEADER_SIZE));
        if (r)
                return 0;

        check_text(trigger->source.text, WORD "@:");
        check_text(trigger->target.text, WORD "@:");
        check_text(trigger->service, WORD "+");
        fuzz_check(strlen(trigger->service) == trigger->n_service);
        fuzz_check(strcspn(trigger->service, "+") == trigger->n_service_name);
        fuzz_check(trigger->n_service_name > 0 && trigger->n_service_name <= SERVICE_NAME_MAX);
        fuzz_check(memcmp(trigger->ident.text, field, IDENT_SIZE) == 0);

        fuzz_check(trigger_encode(header.type, trigger, first, sizeof(first), &n_first) == 0);
        fuzz_check(header.type == WIRE_TYPE_TRIGGER_SERVICE2 || n_first == n);
        fuzz_check(trigger_decode(header.type, first + WIRE_HEADER_SIZE, n_first - WIRE_HEADER_SIZE, field_again,
                                  &again) == 0);
        fuzz_check(memcmp(field, field_again, IDENT_SIZE) == 0);
        fuzz_check(trigger_encode(header.type, again, second, sizeof(second), &n_second) == 0);
        fuzz_check(n_first == n_second && memcmp(first, second, n_first) == 0);
        return 0;
}
