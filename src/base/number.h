/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
        _NUMBER_E_SUCCESS,
        NUMBER_E_MALFORMED, /* empty, a sign, a leading zero, anything but decimal digits */
        NUMBER_E_RANGE,     /* below the minimum or above the maximum */
};

/**
 * number_parse() - parse @n bytes of decimal text in its one canonical form
 *
 * No signs, blanks or leading zeros ("0" itself is fine), so that a value has exactly one spelling.
 * Return: 0 or NUMBER_E_….
 */
int number_parse(const char *text, size_t n, uint64_t min, uint64_t max, uint64_t *ret_value);
