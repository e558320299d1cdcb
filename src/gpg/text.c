/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/text.h"

#include <stdint.h>

#include "base/cleanup.h"

/* Unicode's table 3-7, a row for each shape of a well-formed character; of the first two-byte one, U+0080 to U+009F are out. */
static const struct {
        uint8_t first_min, first_max, second_min, second_max;
        uint8_t n_more; /* bytes 0x80 to 0xbf behind the second */
} shapes[] = {
        { 0xc2, 0xc2, 0xa0, 0xbf, 0 }, { 0xc3, 0xdf, 0x80, 0xbf, 0 }, { 0xe0, 0xe0, 0xa0, 0xbf, 1 },
        { 0xe1, 0xec, 0x80, 0xbf, 1 }, { 0xed, 0xed, 0x80, 0x9f, 1 }, { 0xee, 0xef, 0x80, 0xbf, 1 },
        { 0xf0, 0xf0, 0x90, 0xbf, 2 }, { 0xf1, 0xf3, 0x80, 0xbf, 2 }, { 0xf4, 0xf4, 0x80, 0x8f, 2 },
};

/* Return: the length of the character that begins here; 0: there is none. */
static size_t character_length(const uint8_t *bytes, size_t n) {
        if (bytes[0] >= 0x20 && bytes[0] <= 0x7e)
                return 1;
        for (size_t i = 0; i < ARRAY_SIZE(shapes); ++i) {
                size_t length = 2u + shapes[i].n_more;

                if (bytes[0] < shapes[i].first_min || bytes[0] > shapes[i].first_max)
                        continue;
                if (n < length || bytes[1] < shapes[i].second_min || bytes[1] > shapes[i].second_max)
                        return 0;
                for (size_t k = 2; k < length; ++k)
                        if ((bytes[k] & 0xc0) != 0x80)
                                return 0;
                return length;
        }
        return 0;
}

bool gpg_text_is_printable(const char *untrusted_text, size_t n) {
        const uint8_t *bytes = (const uint8_t *)untrusted_text;

        for (size_t i = 0; i < n;) {
                size_t length = character_length(bytes + i, n - i);

                if (length == 0)
                        return false;
                i += length;
        }
        return true;
}
