/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/** Longer texts are not compared: nobody mistypes them, and the work grows with the square of the length. */
#define NEAREST_LENGTH_MAX 63

/**
 * nearest() - what somebody who wrote @untrusted_text probably meant, for "did you mean"
 * @untrusted_text: @n_text bytes
 * @get:            the candidate with index @i, NUL-terminated; NULL ends the list
 * @userdata:       handed to @get
 *
 * Counts the letters to insert, delete or change; upper and lower case are the same. A third of the letters, and two
 * of any, may be wrong.
 *
 * Return: the candidate (of several, the first), or NULL: none is near.
 */
const char *nearest(const char *untrusted_text, size_t n_text, const char *(*get)(const void *userdata, size_t i),
                    const void *userdata);
