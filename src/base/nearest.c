/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <string.h>

#include "base/cleanup.h"

static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t least(size_t a, size_t b) {
        return a < b ? a : b;
}

/* The classic dynamic programme over one row: row[j] is the distance of a's first i letters to b's first j. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b) {
        size_t row[NEAREST_LENGTH_MAX + 1];

        for (size_t j = 0; j <= n_b; ++j)
                row[j] = j;
        for (size_t i = 1; i <= n_a; ++i) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= n_b; ++j) {
                        size_t above = row[j];
                        size_t changed = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));

                        row[j] = least(changed, least(above, row[j - 1]) + 1);
                        diagonal = above;
                }
        }
        return row[n_b];
}

const char *nearest(const char *untrusted_text, size_t n_text, const char *(*get)(const void *userdata, size_t i),
                    const void *userdata) {
        const char *best = NULL, *candidate;
        size_t best_distance = least(2, (n_text + 2) / 3) + 1;

        if (n_text == 0 || n_text > NEAREST_LENGTH_MAX)
                return NULL;
        if (n_text >= 9)
                best_distance = n_text / 3 + 1;

        for (size_t i = 0; (candidate = get(userdata, i)); ++i) {
                size_t n = strlen(candidate), d;

                if (n > NEAREST_LENGTH_MAX)
                        continue;
                d = distance(untrusted_text, n_text, candidate, n);
                if (d < best_distance) {
                        best = candidate;
                        best_distance = d;
                }
        }
        return best;
}
