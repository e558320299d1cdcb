/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of a policy file or of a request, shown in a message. What comes out is printable ASCII without line ends,
 * so it may be logged as it is.
 */
#pragma once

#include <stddef.h>

#include "policy/slice.h"

/** POLICY_QUOTE_MAX() - size of the buffer that holds @_n bytes quoted, and the NUL */
#define POLICY_QUOTE_MAX(_n) ((_n)*4 + 3)

/**
 * policy_quote() - q(X) of the policy specification, 2.8
 * @buffer:   receives NUL-terminated text; what does not fit is cut, never in the middle of an escape
 * @n_buffer: its size in bytes, at least 3
 *
 * Every character beyond ASCII is escaped, as that section permits. Return: @buffer.
 */
const char *policy_quote(char *buffer, size_t n_buffer, PolicySlice untrusted_text);

/** policy_quote_new() - q(X) of any length; the caller frees it. Return: NULL if there is no memory */
char *policy_quote_new(PolicySlice untrusted_text);

/**
 * policy_show() - text that a message gives without quotes: only what could forge or hide a line is escaped
 *
 * Control characters become \n, \r, \t or \xHH; a backslash stays one, characters beyond ASCII become \xHH, \uHHHH or
 * \UHHHHHHHH. @buffer and @n_buffer as above. Return: @buffer.
 */
const char *policy_show(char *buffer, size_t n_buffer, PolicySlice untrusted_text);

/** policy_show_new() - policy_show() of any length; the caller frees it. Return: NULL if there is no memory */
char *policy_show_new(PolicySlice untrusted_text);
