/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/words.h"

/* Every byte as an escape, in quotes: so nothing is special. */
static char *quoted(char *const *words) {
        size_t n = 1;
        char *text, *out;

        for (size_t i = 0; words[i]; ++i)
                n += strlen(words[i]) * 4 + 3;
        out = text = malloc(n);
        fuzz_check(text);
        for (size_t i = 0; words[i]; ++i) {
                *out++ = '"';
                for (const char *c = words[i]; *c != '\0'; ++c) {
                        static const char digits[] = "0123456789abcdef";

                        *out++ = '\\';
                        *out++ = 'x';
                        *out++ = digits[(unsigned char)*c >> 4];
                        *out++ = digits[(unsigned char)*c & 15];
                }
                *out++ = '"';
                *out++ = ' ';
        }
        *out = '\0';
        return text;
}

/* What is split, quoted and split again is the same words; none is longer than the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *text = strndup((const char *)data, n), *again = NULL;
        _cleanup_free_ char **words = NULL, **words_again = NULL;
        size_t n_bytes = 0, i;

        fuzz_check(text);
        if (words_split(text, &words))
                return 0;
        fuzz_check(words[0]);
        again = quoted(words);
        fuzz_check(words_split(again, &words_again) == 0);
        for (i = 0; words[i]; ++i) {
                fuzz_check(words_again[i] && strcmp(words[i], words_again[i]) == 0);
                n_bytes += strlen(words[i]) + 1;
        }
        fuzz_check(!words_again[i] && n_bytes <= strlen(text) + 1);
        return 0;
}
