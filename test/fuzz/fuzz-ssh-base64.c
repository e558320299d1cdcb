/* SPDX-License-Identifier: Apache-2.0 */
/* What is decoded is encoded as the same text; and bytes come back as they were. */
#include "fuzz.h"

#include <string.h>

#include "ssh/base64.h"

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static char text[BASE64_TEXT_SIZE(MAX)];
        static uint8_t bytes[MAX];
        size_t n_bytes;

        if (n > MAX)
                return 0;
        if (base64_decode((const char *)data, n, bytes, sizeof(bytes), &n_bytes) == 0)
                fuzz_check(base64_encode(bytes, n_bytes, text) == n && memcmp(text, data, n) == 0);
        fuzz_check(base64_decode(text, base64_encode(data, n, text), bytes, sizeof(bytes), &n_bytes) == 0);
        fuzz_check(n_bytes == n && (n == 0 || memcmp(bytes, data, n) == 0));
        return 0;
}
