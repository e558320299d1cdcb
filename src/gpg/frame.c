/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/frame.h"

#include <endian.h>
#include <string.h>

static uint32_t read_u32(const uint8_t *data) {
        uint32_t value;

        memcpy(&value, data, sizeof(value));
        return le32toh(value);
}

static void write_u32(uint8_t *data, uint32_t value) {
        value = htole32(value);
        memcpy(data, &value, sizeof(value));
}

/* The header is complete. */
static int decode_header(GpgFrameDecoder *decoder, GpgFrameEvent *ret_event) {
        uint32_t untrusted_index = read_u32(decoder->header), untrusted_n = read_u32(decoder->header + 4);

        if (untrusted_n > GPG_FRAME_DATA_MAX)
                return GPG_FRAME_E_LENGTH;
        if (untrusted_index > INT32_MAX) {
                if (!decoder->may_exit)
                        return GPG_FRAME_E_INDEX;
                /* -(index + 1) in two's complement. */
                *ret_event = (GpgFrameEvent){ .kind = GPG_FRAME_EVENT_EXIT, .status = (uint8_t)~untrusted_index };
                decoder->n_header = 0;
                return 0;
        }
        if (untrusted_index >= decoder->n_indexes)
                return GPG_FRAME_E_INDEX;
        if (untrusted_n == 0) {
                *ret_event = (GpgFrameEvent){ .kind = GPG_FRAME_EVENT_END, .index = untrusted_index };
                decoder->n_header = 0;
                return 0;
        }
        decoder->n_data = untrusted_n;
        return 0;
}

int gpg_frame_decode(GpgFrameDecoder *decoder, const uint8_t *untrusted_data, size_t n, size_t *ret_used,
                     GpgFrameEvent *ret_event) {
        GpgFrameEvent event = {};
        size_t used = 0, taken;
        int r;

        if (decoder->n_data == 0) {
                taken = GPG_FRAME_HEADER_SIZE - decoder->n_header;
                if (taken > n)
                        taken = n;
                if (taken > 0)
                        memcpy(decoder->header + decoder->n_header, untrusted_data, taken);
                decoder->n_header += taken;
                used = taken;
                if (decoder->n_header == GPG_FRAME_HEADER_SIZE) {
                        r = decode_header(decoder, &event);
                        if (r)
                                return r;
                }
        }
        if (decoder->n_data > 0 && used < n) {
                taken = n - used < decoder->n_data ? n - used : decoder->n_data;
                event = (GpgFrameEvent){
                        .kind = GPG_FRAME_EVENT_DATA,
                        .index = read_u32(decoder->header),
                        .data = untrusted_data + used,
                        .n = taken,
                };
                used += taken;
                decoder->n_data -= taken;
                if (decoder->n_data == 0)
                        decoder->n_header = 0;
        }
        *ret_used = used;
        *ret_event = event;
        return 0;
}

void gpg_frame_encode_header(size_t index, size_t n, uint8_t ret_header[static GPG_FRAME_HEADER_SIZE]) {
        write_u32(ret_header, (uint32_t)index);
        write_u32(ret_header + 4, (uint32_t)n);
}

void gpg_frame_encode_exit(uint8_t status, uint8_t ret_header[static GPG_FRAME_HEADER_SIZE]) {
        write_u32(ret_header, ~(uint32_t)status);
        write_u32(ret_header + 4, 0);
}
