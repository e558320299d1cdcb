/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/vmexec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static const char vmexec_digits[] = "0123456789ABCDEF";

const char *vmexec_error_text(int r) {
        switch (r) {
        case VMEXEC_E_NONE:
                return "is empty";
        case VMEXEC_E_ESCAPE:
                return "has a \"-\" that is followed neither by \"-\" nor by two upper-case hexadecimal digits";
        case VMEXEC_E_BYTE:
                return "has a character that should have been written as \"-HH\"";
        case VMEXEC_E_NUL:
                return "has a NUL (\"-00\") in it";
        default:
                return "cannot be understood";
        }
}

/* Bytes that stand for themselves. Not isalnum(): that asks the locale. */
static bool vmexec_is_plain(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
}

/* Return: 0 to 15, or -1 */
static int vmexec_digit(char c) {
        const char *digit = c == '\0' ? NULL : strchr(vmexec_digits, c);

        return digit ? (int)(digit - vmexec_digits) : -1;
}

/* What follows a "-"; *@text is moved behind it. */
static int vmexec_decode_escape(const char **text, char *ret_byte) {
        int high, low;

        if (**text == '-') {
                *ret_byte = '-';
                ++*text;
                return 0;
        }
        high = vmexec_digit((*text)[0]);
        low = high < 0 ? -1 : vmexec_digit((*text)[1]);
        if (low < 0)
                return VMEXEC_E_ESCAPE;
        if (high == 0 && low == 0)
                return VMEXEC_E_NUL;
        *ret_byte = (char)(high << 4 | low);
        *text += 2;
        return 0;
}

/* One character of a word; *@text is moved behind it. */
static int vmexec_decode_byte(const char **text, char *ret_byte) {
        char c = *(*text)++;

        if (c == '-')
                return vmexec_decode_escape(text, ret_byte);
        if (!vmexec_is_plain(c))
                return VMEXEC_E_BYTE;
        *ret_byte = c;
        return 0;
}

int vmexec_decode(const char *untrusted_argument, char ***ret_words) {
        _cleanup_free_ char **words = NULL;
        const char *text = untrusted_argument;
        size_t n_words = 1;
        char *out;

        if (*text == '\0')
                return VMEXEC_E_NONE;
        for (const char *c = text; *c; ++c)
                n_words += *c == '+';
        /* Decoding never makes a word longer; each has a NUL where the "+" or the end was. */
        words = calloc(1, (n_words + 1) * sizeof(*words) + strlen(text) + 1);
        if (!words)
                return error_origin(-ENOMEM);
        out = (char *)(words + n_words + 1);
        for (size_t i = 0; i < n_words; ++i, ++text) {
                words[i] = out;
                while (*text != '+' && *text != '\0') {
                        int r = vmexec_decode_byte(&text, out);

                        if (r)
                                return r;
                        ++out;
                }
                *out++ = '\0';
        }
        *ret_words = steal_ptr(&words);
        return 0;
}

static char *vmexec_encode_byte(char byte, char *out) {
        if (vmexec_is_plain(byte)) {
                *out++ = byte;
                return out;
        }
        *out++ = '-';
        if (byte == '-') {
                *out++ = '-';
                return out;
        }
        *out++ = vmexec_digits[(unsigned char)byte >> 4];
        *out++ = vmexec_digits[(unsigned char)byte & 15];
        return out;
}

int vmexec_encode(char *const *words, char **ret_argument) {
        char *argument, *out;
        size_t n = 0;

        for (size_t i = 0; words[i]; ++i)
                n += 3 * strlen(words[i]) + 1;
        /* A single empty word is no argument, as no word is. */
        if (!words[0] || (!words[1] && words[0][0] == '\0'))
                return VMEXEC_E_NONE;
        argument = out = malloc(n);
        if (!argument)
                return error_origin(-ENOMEM);
        for (size_t i = 0; words[i]; ++i) {
                if (i > 0)
                        *out++ = '+';
                for (const char *c = words[i]; *c; ++c)
                        out = vmexec_encode_byte(*c, out);
        }
        *out = '\0';
        *ret_argument = argument;
        return 0;
}
