/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, 4), as SSH writes keys (with padding) and fingerprints (without). Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** Room for @_n bytes as base64, padded, and a NUL. */
#define BASE64_TEXT_SIZE(_n) (((_n) + 2) / 3 * 4 + 1)

enum {
        _BASE64_E_SUCCESS,
        BASE64_E_MALFORMED, /* another character, a bad length, or bits that no encoder sets */
        BASE64_E_SIZE,      /* more bytes than there is room for */
};

/** base64_encode() - @n bytes, with `=` at the end; @ret_text holds BASE64_TEXT_SIZE(n). Return: its length */
size_t base64_encode(const void *data, size_t n, char *ret_text);

/**
 * base64_decode() - the one canonical spelling, with its `=`; nothing else, not even white space
 *
 * Return: 0 or BASE64_E_…; @ret_data has undefined contents on failure.
 */
int base64_decode(const char *untrusted_text, size_t n_text, uint8_t *ret_data, size_t n_max, size_t *ret_n);
