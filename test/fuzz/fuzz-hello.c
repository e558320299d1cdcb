/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/header.h"
#include "wire/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        uint8_t again[HELLO_SIZE];
        Hello hello, other;
        int r = hello_decode(data, n, WIRE_VERSION_MIN, &hello);

        fuzz_check((r == HELLO_E_MALFORMED) == (n != HELLO_SIZE));
        if (r)
                return 0;
        fuzz_check(hello.version >= WIRE_VERSION_MIN);
        hello_encode(&hello, again);
        fuzz_check(memcmp(again, data, HELLO_SIZE) == 0);
        fuzz_check(hello_effective_version(&hello, WIRE_VERSION) <= WIRE_VERSION);
        /* What a daemon socket takes, a link takes too. */
        fuzz_check(hello_decode(data, n, WIRE_VERSION_DAEMON, &other) == 0 || hello.version < WIRE_VERSION_DAEMON);
        return 0;
}
