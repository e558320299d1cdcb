/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/writer.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

static uint8_t *wire_writer_take(WireWriter *writer, size_t n) {
        uint8_t *data = writer->data + writer->n;

        if (writer->failed || n > writer->n_max - writer->n) {
                writer->failed = true;
                return NULL;
        }
        writer->n += n;
        return data;
}

static void wire_writer_integer(WireWriter *writer, uint64_t value, size_t n_bytes) {
        uint8_t *data = wire_writer_take(writer, n_bytes);

        for (size_t i = 0; data && i < n_bytes; ++i)
                data[i] = (uint8_t)(value >> (8 * i));
}

void wire_writer_u8(WireWriter *writer, uint8_t value) {
        wire_writer_integer(writer, value, 1);
}

void wire_writer_u32(WireWriter *writer, uint32_t value) {
        wire_writer_integer(writer, value, 4);
}

void wire_writer_u64(WireWriter *writer, uint64_t value) {
        wire_writer_integer(writer, value, 8);
}

void wire_writer_bytes(WireWriter *writer, const void *data, size_t n) {
        uint8_t *place = wire_writer_take(writer, n);

        if (place && n > 0)
                memcpy(place, data, n);
}

void wire_writer_field(WireWriter *writer, const char *text, size_t n_field) {
        size_t n = strlen(text);
        uint8_t *place;

        if (n >= n_field) {
                writer->failed = true;
                return;
        }
        place = wire_writer_take(writer, n_field);
        if (!place)
                return;
        memcpy(place, text, n);
        memset(place + n, 0, n_field - n);
}

int wire_writer_finish(const WireWriter *writer, size_t *ret_n) {
        if (writer->failed)
                return error_origin(-EMSGSIZE);
        *ret_n = writer->n;
        return 0;
}
