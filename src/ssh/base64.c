/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const void *data, size_t n, char *ret_text) {
        const uint8_t *bytes = data;
        size_t n_text = 0;

        for (size_t i = 0; i < n; i += 3) {
                size_t n_group = n - i < 3 ? n - i : 3;
                uint32_t group = 0;

                for (size_t k = 0; k < 3; ++k)
                        group = group << 8 | (k < n_group ? bytes[i + k] : 0);
                for (size_t k = 0; k < 4; ++k)
                        ret_text[n_text++] = k <= n_group ? digits[group >> (18 - 6 * k) & 63] : '=';
        }
        ret_text[n_text] = '\0';
        return n_text;
}

int base64_decode(const char *untrusted_text, size_t n_text, uint8_t *ret_data, size_t n_max, size_t *ret_n) {
        size_t n = 0;

        if (n_text % 4 != 0)
                return BASE64_E_MALFORMED;
        for (size_t i = 0; i < n_text; i += 4) {
                size_t n_digits = 4, n_bytes;
                uint32_t group = 0;

                if (i + 4 == n_text)
                        while (n_digits > 2 && untrusted_text[i + n_digits - 1] == '=')
                                --n_digits;
                for (size_t k = 0; k < 4; ++k) {
                        const char *digit = k < n_digits ? memchr(digits, untrusted_text[i + k], 64) : digits;

                        if (!digit)
                                return BASE64_E_MALFORMED;
                        group = group << 6 | (uint32_t)(digit - digits);
                }
                n_bytes = n_digits - 1;
                if ((group & (UINT32_C(0xffffff) >> (8 * n_bytes))) != 0)
                        return BASE64_E_MALFORMED;
                if (n_bytes > n_max - n)
                        return BASE64_E_SIZE;
                for (size_t k = 0; k < n_bytes; ++k)
                        ret_data[n++] = (uint8_t)(group >> (16 - 8 * k));
        }
        *ret_n = n;
        return 0;
}
