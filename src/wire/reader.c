/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reader.h"

static const uint8_t *wire_reader_take(WireReader *reader, size_t n) {
        const uint8_t *data = reader->data;

        if (reader->failed || n > reader->n) {
                reader->failed = true;
                return NULL;
        }
        /* An empty message may come without memory, and not even 0 may be added to NULL. */
        if (n > 0)
                reader->data += n;
        reader->n -= n;
        return data;
}

static uint64_t wire_reader_integer(WireReader *reader, size_t n_bytes) {
        const uint8_t *data = wire_reader_take(reader, n_bytes);
        uint64_t value = 0;

        for (size_t i = 0; data && i < n_bytes; ++i)
                value |= (uint64_t)data[i] << (8 * i);
        return value;
}

uint8_t wire_reader_u8(WireReader *reader) {
        return (uint8_t)wire_reader_integer(reader, 1);
}

uint32_t wire_reader_u32(WireReader *reader) {
        return (uint32_t)wire_reader_integer(reader, 4);
}

uint64_t wire_reader_u64(WireReader *reader) {
        return wire_reader_integer(reader, 8);
}

WireSlice wire_reader_bytes(WireReader *reader, size_t n) {
        const uint8_t *data = wire_reader_take(reader, n);

        return (WireSlice){ .data = data, .n = data ? n : 0 };
}

WireSlice wire_reader_rest(WireReader *reader, size_t n_max) {
        if (reader->n > n_max)
                reader->failed = true;
        return wire_reader_bytes(reader, reader->n);
}

int wire_reader_finish(const WireReader *reader) {
        return reader->failed || reader->n > 0 ? WIRE_READER_E_MALFORMED : 0;
}
