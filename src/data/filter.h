/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Whether what goes to a descriptor is made harmless; a bool says OFF or ON. */
typedef enum DataFilter {
        DATA_FILTER_OFF,
        DATA_FILTER_ON,
        DATA_FILTER_TERMINAL, /* if it turns out to be a terminal; looked at when that is known or needed anyway */
} DataFilter;

/** data_filter_applies() - the choice, for this descriptor */
bool data_filter_applies(DataFilter filter, int fd);

/**
 * data_filter() - make a service's output harmless to a terminal, in place (protocol specification, 5.12)
 *
 * Bytes outside 0x20 to 0x7e become `_`, one for one, but for tab, newline, carriage return, backspace and bell. The
 * rewriting is prescribed; it is for the eyes alone, nothing decides by its result.
 */
void data_filter(uint8_t *data, size_t n);
