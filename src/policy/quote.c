/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/quote.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/lexer.h"

/** "\UHHHHHHHH", the longest escape, and its NUL. */
#define ESCAPE_SIZE 11

static bool policy_quote_plain(uint32_t code_point, char quote) {
        if (code_point == '\\')
                return quote == '\0';
        return code_point >= 0x20 && code_point < 0x7f && (quote == '\0' || code_point != (unsigned char)quote);
}

/* One character as it is shown; @quote is the one in use, NUL for none. Return: how many bytes of @text it was. */
static size_t policy_quote_character(PolicySlice text, char quote, char ret_shown[static ESCAPE_SIZE]) {
        uint32_t code_point = 0;
        size_t n = policy_utf8_decode(text, &code_point);

        if (n == 0) { /* not UTF-8: shown byte by byte */
                snprintf(ret_shown, ESCAPE_SIZE, "\\x%02x", (uint8_t)text.text[0]);
                return 1;
        }
        if (policy_quote_plain(code_point, quote))
                snprintf(ret_shown, ESCAPE_SIZE, "%c", (char)code_point);
        else if (code_point == '\\' || (quote != '\0' && code_point == (unsigned char)quote))
                snprintf(ret_shown, ESCAPE_SIZE, "\\%c", (char)code_point);
        else if (code_point == '\n' || code_point == '\r' || code_point == '\t')
                snprintf(ret_shown, ESCAPE_SIZE, "\\%c", code_point == '\n' ? 'n' : code_point == '\r' ? 'r' : 't');
        else if (code_point <= 0xff)
                snprintf(ret_shown, ESCAPE_SIZE, "\\x%02x", code_point);
        else if (code_point <= 0xffff)
                snprintf(ret_shown, ESCAPE_SIZE, "\\u%04x", code_point);
        else
                snprintf(ret_shown, ESCAPE_SIZE, "\\U%08x", code_point);
        return n;
}

static const char *policy_quote_with(char *buffer, size_t n_buffer, PolicySlice text, char quote) {
        size_t n = 0, n_end = quote == '\0' ? 1 : 2; /* the closing quote and the NUL */

        if (quote != '\0')
                buffer[n++] = quote;
        while (text.n > 0) {
                char shown[ESCAPE_SIZE];
                size_t n_text = policy_quote_character(text, quote, shown), n_shown = strlen(shown);

                if (n + n_shown + n_end > n_buffer)
                        break;
                memcpy(buffer + n, shown, n_shown);
                n += n_shown;
                text = policy_slice_skip(text, n_text);
        }
        if (quote != '\0')
                buffer[n++] = quote;
        buffer[n] = '\0';
        return buffer;
}

const char *policy_quote(char *buffer, size_t n_buffer, PolicySlice untrusted_text) {
        bool apostrophe = untrusted_text.n > 0 && memchr(untrusted_text.text, '\'', untrusted_text.n);
        bool quotation = untrusted_text.n > 0 && memchr(untrusted_text.text, '"', untrusted_text.n);

        return policy_quote_with(buffer, n_buffer, untrusted_text, apostrophe && !quotation ? '"' : '\'');
}

const char *policy_show(char *buffer, size_t n_buffer, PolicySlice untrusted_text) {
        return policy_quote_with(buffer, n_buffer, untrusted_text, '\0');
}

char *policy_quote_new(PolicySlice untrusted_text) {
        char *buffer = malloc(POLICY_QUOTE_MAX(untrusted_text.n));

        if (buffer)
                policy_quote(buffer, POLICY_QUOTE_MAX(untrusted_text.n), untrusted_text);
        return buffer;
}

char *policy_show_new(PolicySlice untrusted_text) {
        char *buffer = malloc(POLICY_QUOTE_MAX(untrusted_text.n));

        if (buffer)
                policy_show(buffer, POLICY_QUOTE_MAX(untrusted_text.n), untrusted_text);
        return buffer;
}
