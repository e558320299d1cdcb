/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Assuan protocol's lines, as gpg and gpg-agent speak them (The Assuan Reference Manual, 2 "Implementation"): a line
 * ends with LF, has at most 1 000 bytes before it, and begins with a word. In a data line `%` and two hexadecimal digits
 * stand for a byte. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A line, without its end (The Assuan Reference Manual, 2.1; 1 002 with CR and LF). */
#define ASSUAN_LINE_MAX 1000

/** What of a data line is data: the line is `D `, and bytes of which each may take three. */
#define ASSUAN_DATA_PER_LINE ((ASSUAN_LINE_MAX - 2) / 3)

typedef enum AssuanWord {
        ASSUAN_WORD_OTHER, /* a command, from a client */
        ASSUAN_WORD_OK,
        ASSUAN_WORD_ERR,
        ASSUAN_WORD_S,
        ASSUAN_WORD_D,
        ASSUAN_WORD_COMMENT, /* `#` and anything */
        ASSUAN_WORD_INQUIRE,
        ASSUAN_WORD_END,
} AssuanWord;

enum {
        _ASSUAN_E_SUCCESS,
        ASSUAN_E_MALFORMED,
        ASSUAN_E_LIMIT,
};

/** assuan_split() - a line's first word, and where what follows its blanks begins. Return: the word's length in bytes */
size_t assuan_split(const char *line, size_t n, size_t *ret_i_rest);

/** assuan_word() - what a line is by its first word */
AssuanWord assuan_word(const char *line, size_t n);

/**
 * assuan_data_decode() - the bytes of a data line
 * @text:    what follows `D `
 * @buffer:  the bytes are added at *@n_used, which moves; room for @n_buffer
 *
 * Return: 0, ASSUAN_E_MALFORMED, or ASSUAN_E_LIMIT.
 */
int assuan_data_decode(const char *text, size_t n, uint8_t *buffer, size_t n_buffer, size_t *n_used);

/**
 * assuan_data_encode() - one data line of at most ASSUAN_DATA_PER_LINE bytes, with its LF
 * @buffer: ASSUAN_LINE_MAX + 1 bytes
 * Every byte that is no letter and no digit is escaped. Return: how many bytes were written.
 */
size_t assuan_data_encode(const uint8_t *data, size_t n, char *buffer);

/**
 * assuan_text_encode() - words for a person, as SETKEYDESC takes them: blanks are `+`, the rest is escaped
 * (Using the GNU Privacy Guard, "Agent GET_CONFIRMATION", which it refers to)
 *
 * Return: 0, or ASSUAN_E_LIMIT if @buffer is too small.
 */
int assuan_text_encode(const char *text, char *buffer, size_t n_buffer);
