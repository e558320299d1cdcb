/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounds-checked reader that remembers failure: after the first overrun every read yields zero or an empty slice,
 * and wire_reader_finish() reports it. So decoders are straight lines, and a forgotten check cannot read out of
 * bounds. Calling wire_reader_finish() is the one duty. All integers are little-endian (protocol specification, 2.1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WireSlice {
        const uint8_t *data; /* points into the reader's bytes */
        size_t n;
} WireSlice;

typedef struct WireReader {
        const uint8_t *data;
        size_t n;
        bool failed;
} WireReader;

#define WIRE_READER_INIT(_data, _n) ((WireReader){ .data = (_data), .n = (_n) })

enum {
        _WIRE_READER_E_SUCCESS,
        WIRE_READER_E_MALFORMED, /* too short, or bytes are left over */
};

/** wire_reader_u8(), wire_reader_u32(), wire_reader_u64() - the next number, little-endian; 0 if there are fewer bytes */
uint8_t wire_reader_u8(WireReader *reader);
uint32_t wire_reader_u32(WireReader *reader);
uint64_t wire_reader_u64(WireReader *reader);

/** wire_reader_bytes() - the next @n bytes; an empty slice if there are fewer */
WireSlice wire_reader_bytes(WireReader *reader, size_t n);

/** wire_reader_rest() - all bytes that are left; fails if there are more than @n_max */
WireSlice wire_reader_rest(WireReader *reader, size_t n_max);

/** wire_reader_finish() - was everything there, and nothing more? Return: 0 or WIRE_READER_E_MALFORMED */
int wire_reader_finish(const WireReader *reader);
