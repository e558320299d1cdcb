/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/pattern.h"

/* Without recursion: a `*` that turns out to have taken too little takes one more; only the last one needs to. */
bool ssh_pattern_match(const char *pattern, WireSlice untrusted_text) {
        const char *star = NULL;
        size_t i = 0, retry = 0;

        while (i < untrusted_text.n) {
                if (*pattern == '*') {
                        star = ++pattern;
                        retry = i;
                } else if (*pattern != '\0' && (*pattern == '?' || (uint8_t)*pattern == untrusted_text.data[i])) {
                        ++pattern;
                        ++i;
                } else if (star) {
                        pattern = star;
                        i = ++retry;
                } else {
                        return false;
                }
        }
        while (*pattern == '*')
                ++pattern;
        return *pattern == '\0';
}

bool ssh_patterns_match(char *const *patterns, size_t n_patterns, WireSlice untrusted_text) {
        bool matched = false;

        for (size_t i = 0; i < n_patterns; ++i) {
                if (patterns[i][0] != '!')
                        matched = matched || ssh_pattern_match(patterns[i], untrusted_text);
                else if (ssh_pattern_match(patterns[i] + 1, untrusted_text))
                        return false;
        }
        return matched;
}
