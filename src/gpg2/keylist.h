/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `gpg --with-colons --with-keygrip --list-secret-keys` says (GnuPG, doc/DETAILS, "Format of the colon listings"): which
 * secret keys there are, which of them are subkeys, and words for a person. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gpg2/filter.h"

/** Secret keys of one home. */
#define KEYLIST_KEYS_MAX 1000
/** The listing: some hundred bytes a line, several lines a key. */
#define KEYLIST_SIZE_MAX (4 * 1024 * 1024)
/** Of a user ID as it is shown, in bytes. */
#define KEYLIST_USER_MAX 100

typedef struct KeyList {
        FilterKey *keys;
        bool *are_subkeys; /* of each */
        size_t n_keys;
} KeyList;

enum {
        _KEYLIST_E_SUCCESS,
        KEYLIST_E_MALFORMED,
        KEYLIST_E_LIMIT, /* too many keys */
};

/** keylist_deinit() - harmless on an all-zero one */
void keylist_deinit(KeyList *list);

/**
 * keylist_parse() - of @text, which is NUL-terminated
 * @subkeys_alone: leave primary keys out
 *
 * A key whose secret part is not here (`#` in field 15) is left out; one on a card is not. What of a user ID is no printable
 * ASCII is shown as `?`. Return: 0, KEYLIST_E_…, or a negative error.
 */
int keylist_parse(const char *text, bool subkeys_alone, KeyList *ret_list);
