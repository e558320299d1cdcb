/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/codec.h"

#include <string.h>

static uint64_t read_integer(WireReader *reader, size_t n) {
        WireSlice bytes = wire_reader_bytes(reader, n);
        uint64_t value = 0;

        for (size_t i = 0; i < bytes.n; ++i)
                value = value << 8 | bytes.data[i];
        return value;
}

uint32_t ssh_read_u32(WireReader *reader) {
        return (uint32_t)read_integer(reader, 4);
}

uint64_t ssh_read_u64(WireReader *reader) {
        return read_integer(reader, 8);
}

WireSlice ssh_read_string(WireReader *reader) {
        return wire_reader_bytes(reader, ssh_read_u32(reader));
}

WireSlice ssh_read_cstring(WireReader *reader) {
        WireSlice text = ssh_read_string(reader);

        if (text.n > 0 && memchr(text.data, '\0', text.n)) {
                reader->failed = true;
                return (WireSlice){};
        }
        return text;
}

static void write_integer(WireWriter *writer, uint64_t value, unsigned n) {
        uint8_t bytes[8];

        for (unsigned i = 0; i < n; ++i)
                bytes[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
        wire_writer_bytes(writer, bytes, n);
}

void ssh_write_u32(WireWriter *writer, uint32_t value) {
        write_integer(writer, value, 4);
}

void ssh_write_u64(WireWriter *writer, uint64_t value) {
        write_integer(writer, value, 8);
}

void ssh_write_string(WireWriter *writer, const void *data, size_t n) {
        if (n > UINT32_MAX)
                writer->failed = true;
        ssh_write_u32(writer, (uint32_t)n);
        wire_writer_bytes(writer, data, n);
}

bool slice_is(WireSlice slice, const char *text) {
        return slice_equal(slice, SLICE_OF(text));
}

bool slice_equal(WireSlice a, WireSlice b) {
        return a.n == b.n && (a.n == 0 || memcmp(a.data, b.data, a.n) == 0);
}
