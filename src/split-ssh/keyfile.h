/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a key folder, ~/.ssh/identities.d/AGENT (split-ssh specification, 3.1, 3.3): KEY, and beside it
 * KEY.ssh-add-option with words for ssh-add. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** Behind a key's name. */
#define KEYFILE_OPTIONS_SUFFIX ".ssh-add-option"
/** Longest file of options. */
#define KEYFILE_OPTIONS_MAX 4096
/** Most words in it. */
#define KEYFILE_WORDS_MAX 64
/** Longest private key: RSA of 16384 bits has a quarter of it. */
#define KEYFILE_KEY_MAX 65536

enum {
        _KEYFILE_E_SUCCESS,
        KEYFILE_E_OPTION,   /* a word that is none of those allowed */
        KEYFILE_E_VALUE,    /* an option without its value */
        KEYFILE_E_TOO_MANY, /* words */
        KEYFILE_E_NUL,
};

/** keyfile_is_candidate() - may a file of this name be a key? Not if it begins with a dot, or is something beside one */
bool keyfile_is_candidate(const char *name);

/** keyfile_is_private_key() - does the file say that it is one? */
bool keyfile_is_private_key(const char *data, size_t n);

/**
 * keyfile_parse_options() - split at white space; nothing is expanded
 * @text:      @n bytes and a NUL; cut up
 * @ret_words: point into @text
 *
 * Allowed are -c -q -v -k -C -N, and -t -h -H with a value, in the next word.
 * Return: 0 or KEYFILE_E_…; for these, @ret_words[*@ret_n] is the option, unless it is KEYFILE_E_TOO_MANY or _NUL.
 */
int keyfile_parse_options(char *text, size_t n, const char *ret_words[static KEYFILE_WORDS_MAX + 1], size_t *ret_n);

/** keyfile_error_text() - words for a KEYFILE_E_… code, such as "is no option …" */
const char *keyfile_error_text(int r);
