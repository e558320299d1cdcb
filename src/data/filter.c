/* SPDX-License-Identifier: Apache-2.0 */
#include "data/filter.h"

#include <unistd.h>

static bool filter_byte_is_harmless(uint8_t byte) {
        return (byte >= 0x20 && byte <= 0x7e) || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\b' ||
               byte == '\a';
}

void data_filter(uint8_t *data, size_t n) {
        for (size_t i = 0; i < n; ++i)
                if (!filter_byte_is_harmless(data[i]))
                        data[i] = '_';
}

bool data_filter_applies(DataFilter filter, int fd) {
        return filter == DATA_FILTER_ON || (filter == DATA_FILTER_TERMINAL && isatty(fd));
}
