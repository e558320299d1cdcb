/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * data_filter() - make a service's output harmless to a terminal, in place (protocol specification, 5.12)
 *
 * Bytes outside 0x20 to 0x7e become `_`, one for one, but for tab, newline, carriage return, backspace and bell. The
 * rewriting is prescribed; it is for the eyes alone, nothing decides by its result.
 */
void data_filter(uint8_t *data, size_t n);
