/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that are as long as they have to be: of a format, or written into a stream of open_memstream(3). */
#pragma once

#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"

/** text_format_list() - vasprintf(3) that leaves @ret_text alone where it fails. Return: 0 or a negative error */
int text_format_list(const char *format, va_list arguments, char **ret_text) _printf_(1, 0);

/**
 * text_close() - close a stream of open_memstream(): has memory been found for all that was written?
 *
 * fclose() alone does not say so: a write that failed before would leave a text with a gap.
 * @text: where the stream has put it; freed, and NULL, if not. Return: 0 or a negative error.
 */
int text_close(FILE *stream, char **text);
