/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mirror of the reader: writes into a buffer of fixed size and remembers an overrun. Encoders size their buffers
 * from the named limits of their message, so an overrun is a bug of ours, not an outcome.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WireWriter {
        uint8_t *data;
        size_t n_max;
        size_t n; /* bytes written so far */
        bool failed;
} WireWriter;

#define WIRE_WRITER_INIT(_data, _n_max) ((WireWriter){ .data = (_data), .n_max = (_n_max) })

/** wire_writer_u8(), wire_writer_u32(), wire_writer_u64(), wire_writer_bytes() - one more; fails where it does not fit */
void wire_writer_u8(WireWriter *writer, uint8_t value);
void wire_writer_u32(WireWriter *writer, uint32_t value);
void wire_writer_u64(WireWriter *writer, uint64_t value);
void wire_writer_bytes(WireWriter *writer, const void *data, size_t n);

/** wire_writer_field() - NUL-terminated @text in a zero-padded field of @n_field bytes; fails if it does not fit */
void wire_writer_field(WireWriter *writer, const char *text, size_t n_field);

/** wire_writer_finish() - Return: 0, or a negative error if something did not fit; *@ret_n: bytes written */
int wire_writer_finish(const WireWriter *writer, size_t *ret_n);
