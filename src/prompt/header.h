/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a socket service is told before its input: `SERVICE SOURCE …` and a NUL (protocol specification, 6.7; policy
 * specification, 7.1). Pure.
 */
#pragma once

#include <stddef.h>

/** Longest header, with its NUL. */
#define HEADER_MAX 4096
/** Longest of the two words that count. */
#define HEADER_WORD_MAX 255

typedef struct Header {
        char service[HEADER_WORD_MAX + 1];
        char source[HEADER_WORD_MAX + 1];
        size_t n; /* its length with the NUL: where the input begins */
} Header;

enum {
        _HEADER_E_SUCCESS,
        HEADER_E_MALFORMED, /* no NUL, fewer than two words, or too long */
};

/** header_decode() - the service is NAME, without argument. Return: 0 or HEADER_E_MALFORMED */
int header_decode(const char *untrusted_data, size_t n, Header *ret_header);
