/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdbool.h>

#include "gpg/text.h"

/* By the numbers: take the character apart, and look whether it would be written like this. */
static size_t reference_character(const uint8_t *data, size_t n) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t length = data[0] < 0x80       ? 1
                        : data[0] >> 5 == 6  ? 2
                        : data[0] >> 4 == 14 ? 3
                        : data[0] >> 3 == 30 ? 4
                                             : 0;
        uint32_t value;

        if (length == 0 || length > n)
                return 0;
        value = length == 1 ? data[0] : data[0] & (0x7fu >> length);
        for (size_t i = 1; i < length; ++i) {
                if (data[i] >> 6 != 2)
                        return 0;
                value = value << 6 | (data[i] & 0x3f);
        }
        if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff) || value < 0x20 ||
            (value >= 0x7f && value < 0xa0))
                return 0;
        return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        bool expect = true;

        for (size_t i = 0; i < n && expect;) {
                size_t length = reference_character(data + i, n - i);

                expect = length > 0;
                i += length;
        }
        fuzz_check(gpg_text_is_printable((const char *)data, n) == expect);
        return 0;
}
