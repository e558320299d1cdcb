/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: the words that stand for domains (policy specification, 2.1 and 2.3).
 *
 *   place       where                         keywords                                prefixes
 *   source      SOURCE of a rule              * @anyvm @adminvm                       @type: @tag: @dispvm: @dispvm:@tag:
 *   target      TARGET of a rule              * @anyvm @adminvm @default @dispvm      @type: @tag: @dispvm: @dispvm:@tag:
 *   redirect    target=, default_target=      @adminvm @dispvm                        @dispvm:
 *   requested   what a caller asks for        @adminvm @default @dispvm               @dispvm:
 *
 * Everything else that does not begin with `@`, other than `*`, is a name, valid everywhere.
 */
#pragma once

#include <stddef.h>

#include "policy/atom.h"
#include "policy/slice.h"

typedef enum PolicyTokenKind {
        POLICY_TOKEN_NONE, /* there is no token: the parameter was not given */
        POLICY_TOKEN_ANY,  /* `*` */
        POLICY_TOKEN_ANYVM,
        POLICY_TOKEN_ADMINVM,
        POLICY_TOKEN_DEFAULT,
        POLICY_TOKEN_DISPVM,      /* `@dispvm` */
        POLICY_TOKEN_TYPE,        /* `@type:VALUE` */
        POLICY_TOKEN_TAG,         /* `@tag:VALUE` */
        POLICY_TOKEN_DISPVM_BASE, /* `@dispvm:VALUE` */
        POLICY_TOKEN_DISPVM_TAG,  /* `@dispvm:@tag:VALUE` */
        POLICY_TOKEN_NAME,        /* VALUE, `dom0` and `uuid:…` too */
} PolicyTokenKind;

typedef enum PolicyPlace {
        POLICY_PLACE_SOURCE,
        POLICY_PLACE_TARGET,
        POLICY_PLACE_REDIRECT,
        POLICY_PLACE_REQUESTED,
} PolicyPlace;

typedef struct PolicyToken {
        PolicyTokenKind kind;
        const PolicyAtom *value; /* NULL where the kind has none */
} PolicyToken;

enum {
        _POLICY_TOKEN_E_SUCCESS,
        POLICY_TOKEN_E_EMPTY,       /* no text at all */
        POLICY_TOKEN_E_EMPTY_VALUE, /* a prefix and nothing after it */
        POLICY_TOKEN_E_INVALID,     /* not a token, or not one that may stand here */
};

/**
 * policy_token_parse() - recognise a token (specification, 2.3)
 * @ret_value: what follows the prefix, or the name; points into @untrusted_text, empty where the kind has no value
 *
 * Return: 0 or POLICY_TOKEN_E_….
 */
int policy_token_parse(PolicyPlace place, PolicySlice untrusted_text, PolicyTokenKind *ret_kind,
                       PolicySlice *ret_value);

/** policy_token_error() - the message of a POLICY_TOKEN_E_… code for @untrusted_text; cut to fit. Return: @buffer */
const char *policy_token_error(int r, PolicyPlace place, PolicySlice untrusted_text, char *buffer, size_t n_buffer);

/** policy_token_prefix() - the text of a kind without its value: a whole keyword, a prefix, or "" for a name */
const char *policy_token_prefix(PolicyTokenKind kind);
