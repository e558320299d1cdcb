/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static const char blanks[] = " \t";

static int words_hex(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

/* *@text is behind the backslash. Return: 0 or WORDS_E_ESCAPE */
static int words_escape(const char **text, char *ret_c) {
        static const char from[] = "\\\"'stn", to[] = "\\\"' \t\n";
        const char *found = **text != '\0' ? strchr(from, **text) : NULL;
        int high, low;

        if (found) {
                *ret_c = to[found - from];
                ++*text;
                return 0;
        }
        if (**text != 'x')
                return WORDS_E_ESCAPE;
        high = words_hex((*text)[1]);
        low = high < 0 ? -1 : words_hex((*text)[2]);
        if (low < 0 || (high == 0 && low == 0))
                return WORDS_E_ESCAPE;
        *ret_c = (char)(high * 16 + low);
        *text += 3;
        return 0;
}

/* One word at *@text, which is no blank; written to *@out with its NUL. */
static int words_take(const char **text, char **out) {
        char quote = '\0';

        if (**text == '"' || **text == '\'')
                quote = *(*text)++;
        while (quote ? **text != quote : !strchr(blanks, **text)) { /* strchr() also finds the end */
                char c = *(*text)++;

                if (c == '\0')
                        return WORDS_E_QUOTE;
                if (c == '\\') {
                        int r = words_escape(text, &c);

                        if (r)
                                return r;
                }
                *(*out)++ = c;
        }
        if (quote && !strchr(blanks, *++*text))
                return WORDS_E_QUOTE;
        *(*out)++ = '\0';
        return 0;
}

int words_split(const char *text, char ***ret_words) {
        size_t n_text = strlen(text), n_words_max = n_text / 2 + 1, n_words = 0;
        _cleanup_free_ char **words = NULL;
        char *out;

        /* The array and, behind it, the words: each with its NUL, where the text has a blank or its own end. */
        words = malloc((n_words_max + 1) * sizeof(*words) + n_text + 1);
        if (!words)
                return error_origin(-ENOMEM);
        out = (char *)(words + n_words_max + 1);
        for (;;) {
                int r;

                text += strspn(text, blanks);
                if (*text == '\0')
                        break;
                words[n_words++] = out;
                r = words_take(&text, &out);
                if (r)
                        return r;
        }
        words[n_words] = NULL;
        if (n_words == 0)
                return WORDS_E_EMPTY;
        *ret_words = steal_ptr(&words);
        return 0;
}

const char *words_error_text(int r) {
        switch (r) {
        case WORDS_E_EMPTY:
                return "has no words";
        case WORDS_E_QUOTE:
                return "has a quote that is not closed, or that ends in the middle of a word";
        case WORDS_E_ESCAPE:
                return "has a backslash that begins no escape: write \\\\ for one";
        default:
                return "is not understood";
        }
}
