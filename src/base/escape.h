/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted text made fit for a log line or a terminal: printable ASCII stays, everything else (and the backslash)
 * becomes \n, \r, \t, \\ or \xHH, so nobody can forge a line, hide one, or move a cursor.
 */
#pragma once

#include <stddef.h>

/** ESCAPE_MAX() - size of the buffer that holds @_n escaped bytes and the NUL */
#define ESCAPE_MAX(_n) ((_n)*4 + 1)

/**
 * escape() - write an escaped copy
 * @buffer:   receives NUL-terminated text; what does not fit is cut, never in the middle of an escape
 * @n_buffer: its size in bytes, at least 1
 *
 * Return: @buffer.
 */
const char *escape(char *buffer, size_t n_buffer, const void *untrusted_text, size_t n_text);

/** ESCAPED() - @_n bytes of untrusted text, shown as at most 255 characters; lives until the end of the block */
#define ESCAPED(_text, _n) escape((char[256]){ 0 }, 256, (_text), (_n))
