/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to lines to words (policy specification, 1.4 and 1.6). Pure functions over bytes.
 *
 * LF, CR LF and a lone CR end a line and nothing else does; blanks, which include those of Unicode, separate words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/slice.h"

/** policy_utf8_decode() - the first code point of @text. Return: its length in bytes, 0 if it is not valid UTF-8 */
size_t policy_utf8_decode(PolicySlice text, uint32_t *ret_code_point);

/**
 * policy_utf8_check() - is all of it valid UTF-8? Surrogates and overlong forms are not
 *
 * Return: 0, or the number of the line, from 1, with the first bad byte.
 */
unsigned policy_utf8_check(PolicySlice text);

/** policy_blank() - the blanks of section 1.6 */
bool policy_blank(uint32_t code_point);

typedef struct PolicyLines {
        PolicySlice rest;
        unsigned line; /* number of the line returned last, from 1 */
} PolicyLines;

#define POLICY_LINES_INIT(_text) ((PolicyLines){ .rest = (_text) })

/**
 * policy_lines_next() - the next line, blanks removed from both ends
 *
 * The text must be valid UTF-8. Lines that say nothing, empty ones and comments, are returned like all others.
 * Return: false after the last one.
 */
bool policy_lines_next(PolicyLines *lines, PolicySlice *ret_line);

/** policy_line_says_nothing() - is a trimmed line empty or a comment? */
static inline bool policy_line_says_nothing(PolicySlice line) {
        return line.n == 0 || line.text[0] == '#';
}

/** policy_words_next() - take the next word off the front of *@rest, valid UTF-8. Return: false if there is none */
bool policy_words_next(PolicySlice *rest, PolicySlice *ret_word);

/** policy_words_count() - how many words there are */
size_t policy_words_count(PolicySlice text);
