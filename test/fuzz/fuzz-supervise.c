/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/supervise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        uint8_t again[SUPERVISE_SIZE];
        Supervise message;

        if (supervise_decode(data, n, &message))
                return 0;
        fuzz_check(n == SUPERVISE_SIZE);
        fuzz_check(!strchr(message.domain.text, '/') && !strchr(message.instance.text, '/'));
        supervise_encode(&message, again);
        fuzz_check(memcmp(again, data, SUPERVISE_SIZE) == 0);
        return 0;
}
