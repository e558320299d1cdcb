/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S-expressions, as GnuPG's programs hand them to each other: lists of byte strings and lists. Read from what a client
 * wrote (canonical `3:rsa`, or bare words such as `rsa`; RFC 9804, 6.1 and 4.3), and written in canonical form alone: one
 * value, one spelling, whatever came in. Pure; nothing recurses on input.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Lists within lists (split-gpg specification, 12.1). */
#define SEXP_DEPTH_MAX 20
/** Lists and strings together: the longest that is sent to an agent here has sixteen. */
#define SEXP_NODES_MAX 64
/** What an expression may take, in either form: the agent takes no more at an inquiry (S INQUIRE_MAXLEN). */
#define SEXP_SIZE_MAX 4096

typedef enum SexpKind {
        SEXP_KIND_OPEN,
        SEXP_KIND_STRING,
        SEXP_KIND_CLOSE,
} SexpKind;

typedef struct SexpNode {
        SexpKind kind;
        const uint8_t *data; /* of a string; points into what was parsed */
        size_t n;
} SexpNode;

typedef struct Sexp {
        SexpNode nodes[SEXP_NODES_MAX]; /* in the order in which they were written */
        size_t n_nodes;
} Sexp;

enum {
        _SEXP_E_SUCCESS,
        SEXP_E_MALFORMED,
        SEXP_E_LIMIT, /* too deep, too many parts, too long */
};

/**
 * sexp_parse() - one list, and nothing after it
 * @ret_sexp: its strings point into @untrusted_data
 * A length has no sign and no leading zero. Return: 0 or SEXP_E_….
 */
int sexp_parse(const uint8_t *untrusted_data, size_t n, Sexp *ret_sexp);

/** sexp_format() - in canonical form. Return: 0, or SEXP_E_LIMIT if @buffer is too small */
int sexp_format(const Sexp *sexp, uint8_t *buffer, size_t n_buffer, size_t *ret_n);

/** sexp_string_is() - is it a string, and this one? */
bool sexp_string_is(const SexpNode *node, const char *text);

/**
 * sexp_match() - has it this shape?
 * @shape: `(`, `)`, words that must be there as they stand, and `?` for any string that is not empty; blanks between them
 * @ret_values: what stood where the shape has `?`, at most @n_values
 */
bool sexp_match(const Sexp *sexp, const char *shape, const SexpNode **ret_values, size_t n_values);
