/* SPDX-License-Identifier: Apache-2.0 */
#include "base/escape.h"

#include <stdint.h>
#include <string.h>

static size_t escape_byte(uint8_t byte, char ret_text[static 4]) {
        static const char digits[] = "0123456789abcdef";
        static const char plain[] = "\n\r\t\\", letters[] = "nrt\\";
        const char *found = byte ? strchr(plain, byte) : NULL;

        ret_text[0] = '\\';
        if (found) {
                ret_text[1] = letters[found - plain];
                return 2;
        }
        if (byte >= 0x20 && byte < 0x7f) {
                ret_text[0] = (char)byte;
                return 1;
        }
        ret_text[1] = 'x';
        ret_text[2] = digits[byte >> 4];
        ret_text[3] = digits[byte & 15];
        return 4;
}

const char *escape(char *buffer, size_t n_buffer, const void *untrusted_text, size_t n_text) {
        size_t n = 0;

        for (size_t i = 0; i < n_text; ++i) {
                char text[4];
                size_t n_escaped = escape_byte(((const uint8_t *)untrusted_text)[i], text);

                if (n + n_escaped >= n_buffer)
                        break;
                memcpy(buffer + n, text, n_escaped);
                n += n_escaped;
        }
        buffer[n] = '\0';
        return buffer;
}
