/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of text that somebody else owns. It may contain NUL bytes: in a policy file NUL is an ordinary character
 * (policy specification, 1.4), so nothing here may be cut at one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct PolicySlice {
        const char *text;
        size_t n;
} PolicySlice;

/** POLICY_SLICE() - the slice of a string literal */
#define POLICY_SLICE(_literal) ((PolicySlice){ ("" _literal), sizeof(_literal) - 1 })

/** policy_slice() - the slice of a NUL-terminated text; NULL is the empty text */
static inline PolicySlice policy_slice(const char *text) {
        return (PolicySlice){ text ?: "", text ? strlen(text) : 0 };
}

/** policy_slice_equal() - the same bytes? */
static inline bool policy_slice_equal(PolicySlice a, PolicySlice b) {
        return a.n == b.n && (a.n == 0 || memcmp(a.text, b.text, a.n) == 0);
}

/** policy_slice_begins() - are the first bytes of @slice those of @prefix? */
static inline bool policy_slice_begins(PolicySlice slice, PolicySlice prefix) {
        return slice.n >= prefix.n && (prefix.n == 0 || memcmp(slice.text, prefix.text, prefix.n) == 0);
}

/** policy_slice_skip() - @slice without its first @n bytes, of which it must have that many */
static inline PolicySlice policy_slice_skip(PolicySlice slice, size_t n) {
        return (PolicySlice){ slice.text + n, slice.n - n };
}
