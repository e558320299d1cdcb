/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wire/reader.h"

/** ssh_pattern_match() - `*` is any string, `?` any character, the rest itself (split-ssh specification, 6.4) */
bool ssh_pattern_match(const char *pattern, WireSlice untrusted_text);

/** ssh_patterns_match() - does some positive pattern match, and none that begins with `!`? */
bool ssh_patterns_match(char *const *patterns, size_t n_patterns, WireSlice untrusted_text);
