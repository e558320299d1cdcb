/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encodings of SSH (split-ssh specification, 4.1; RFC 4251, 5) on top of wire/reader.h and wire/writer.h, which
 * remember failure: big-endian integers, and strings that are a length and so many bytes. An `mpint` is a string here.
 */
#pragma once

#include <stdbool.h>

#include "wire/reader.h"
#include "wire/writer.h"

/** ssh_read_u32(), ssh_read_u64() - big-endian; 0 once the reader has failed */
uint32_t ssh_read_u32(WireReader *reader);
uint64_t ssh_read_u64(WireReader *reader);
/** ssh_read_string() - an uint32 length and so many bytes; the slice points into the reader's */
WireSlice ssh_read_string(WireReader *reader);
/** ssh_read_cstring() - a string without a NUL in it; fails on one that has */
WireSlice ssh_read_cstring(WireReader *reader);

/** ssh_write_u32(), ssh_write_u64(), ssh_write_string(), ssh_write_slice() - what the above read */
void ssh_write_u32(WireWriter *writer, uint32_t value);
void ssh_write_u64(WireWriter *writer, uint64_t value);
void ssh_write_string(WireWriter *writer, const void *data, size_t n);

static inline void ssh_write_slice(WireWriter *writer, WireSlice slice) {
        ssh_write_string(writer, slice.data, slice.n);
}

/** slice_is() - are these the bytes of @text (without its NUL)? */
bool slice_is(WireSlice slice, const char *text);
/** slice_equal() - the same bytes? */
bool slice_equal(WireSlice a, WireSlice b);

#define SLICE_OF(_text) ((WireSlice){ .data = (const uint8_t *)(_text), .n = __builtin_strlen(_text) })
