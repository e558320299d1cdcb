/* SPDX-License-Identifier: Apache-2.0 */
/* An SSH public key as a line of text, and the line that lets it do one thing. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** Longest line: an RSA key of 16384 bits has 2800 characters. */
#define RELAY_KEY_MAX 4096

typedef struct RelayKey {
        char text[RELAY_KEY_MAX]; /* TYPE BASE64, without options and comment */
} RelayKey;

enum {
        _RELAY_KEY_E_SUCCESS,
        RELAY_KEY_E_TYPE,      /* not of a type that sshd accepts, or something in front of it */
        RELAY_KEY_E_MALFORMED, /* no base64, or more than a comment behind it */
};

/**
 * relay_key_parse() - the line of an id_….pub file: TYPE BASE64 [COMMENT]
 *
 * Options in front (`command=…`) are refused: they would be ours to give. Whether the key is one is sshd's to find out.
 * Return: 0 or RELAY_KEY_E_….
 */
int relay_key_parse(const char *untrusted_text, RelayKey *ret_key);

/** relay_key_is_in() - is the key in a file of authorized keys, whatever stands in front of it? */
bool relay_key_is_in(const RelayKey *key, const char *file, size_t n_file);
