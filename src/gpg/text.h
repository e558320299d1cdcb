/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/**
 * gpg_text_is_printable() - may this be a word of a command line? (split-gpg specification, 5.2)
 *
 * Bytes 0x20 to 0x7e and well-formed UTF-8 (RFC 3629: nothing overlong, no surrogates, nothing above U+10FFFF), without
 * the control characters U+0000 to U+001F and U+007F to U+009F. The empty text is. Pure.
 */
bool gpg_text_is_printable(const char *untrusted_text, size_t n);
