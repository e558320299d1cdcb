/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        uint8_t again[WIRE_HEADER_SIZE];
        WireHeader header;

        if (wire_header_decode(data, n, &header)) {
                fuzz_check(n < WIRE_HEADER_SIZE);
                return 0;
        }
        wire_header_encode(header, again);
        fuzz_check(memcmp(again, data, WIRE_HEADER_SIZE) == 0);
        return 0;
}
