/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/refusal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        uint8_t message[8 + IDENT_SIZE];
        Ident ident;

        if (ident_decode(data, n, &ident) == 0) {
                fuzz_check(n == IDENT_SIZE && strlen(ident.text) < IDENT_SIZE);
                fuzz_check(memcmp(ident.text, data, IDENT_SIZE) == 0);
        }
        /* Whatever came goes back as it came. */
        if (n == IDENT_SIZE) {
                refusal_encode(data, message);
                fuzz_check(memcmp(message + 8, data, IDENT_SIZE) == 0);
        }
        return 0;
}
