/* SPDX-License-Identifier: Apache-2.0 */
#include "data/frame.h"

#include <string.h>

#include "wire/hello.h"
#include "wire/reader.h"

const char *frame_error_text(int r) {
        switch (r) {
        case FRAME_E_HELLO:
                return "its first message is no HELLO";
        case FRAME_E_VERSION:
                return "it speaks a version that is too old";
        case FRAME_E_LENGTH:
                return "it sent a chunk above the limit";
        case FRAME_E_TYPE:
                return "it sent a message of unknown type";
        default:
                return "it sent something unexpected";
        }
}

/* Take up to @n bytes off the front of the input. */
static WireSlice frame_take(WireSlice *input, size_t n) {
        WireSlice taken = { .data = input->data, .n = n < input->n ? n : input->n };

        if (taken.n > 0) {
                input->data += taken.n;
                input->n -= taken.n;
        }
        return taken;
}

/* The next bytes of the payload that is being received. */
static WireSlice frame_decoder_take(FrameDecoder *decoder, WireSlice *input, size_t n_max) {
        WireSlice taken = frame_take(input, n_max < decoder->n_left ? n_max : decoder->n_left);

        decoder->n_left -= taken.n;
        return taken;
}

/* The lengths are judged here, before a byte of the payload is waited for. */
static int frame_decoder_open(FrameDecoder *decoder) {
        if (wire_header_decode(decoder->header_data, decoder->n_header, &decoder->header))
                return FRAME_E_MORE;
        if (decoder->n_data_max == 0) {
                if (decoder->header.type != WIRE_TYPE_HELLO || decoder->header.length != HELLO_SIZE)
                        return FRAME_E_HELLO;
        } else if (decoder->header.length > decoder->n_data_max) {
                return FRAME_E_LENGTH;
        }
        decoder->n_left = decoder->header.length;
        decoder->n_number = 0;
        return 0;
}

static int frame_decoder_hello(FrameDecoder *decoder, FrameEvent *ret_event) {
        Hello hello;
        int r;

        r = hello_decode(decoder->number_data, decoder->n_number, WIRE_VERSION_MIN, &hello);
        if (r)
                return r == HELLO_E_VERSION ? FRAME_E_VERSION : FRAME_E_HELLO;
        *ret_event = (FrameEvent){
                .kind = FRAME_KIND_HELLO,
                .version = hello_effective_version(&hello, WIRE_VERSION),
        };
        decoder->n_data_max = data_size_max(ret_event->version);
        return 0;
}

/* HELLO and DATA_EXIT_CODE: small payloads of which the first bytes are kept. */
static int frame_decoder_number(FrameDecoder *decoder, WireSlice *input, FrameEvent *ret_event) {
        WireSlice taken = frame_decoder_take(decoder, input, sizeof(decoder->number_data) - decoder->n_number);

        if (taken.n > 0)
                memcpy(decoder->number_data + decoder->n_number, taken.data, taken.n);
        decoder->n_number += taken.n;
        if (decoder->n_number == sizeof(decoder->number_data))
                (void)frame_decoder_take(decoder, input, decoder->n_left);
        if (decoder->n_left > 0)
                return FRAME_E_MORE;

        decoder->n_header = 0;
        if (decoder->n_data_max == 0)
                return frame_decoder_hello(decoder, ret_event);
        *ret_event = (FrameEvent){
                .kind = FRAME_KIND_EXIT_STATUS,
                .type = WIRE_TYPE_DATA_EXIT_CODE,
                .status = data_exit_code_decode(decoder->number_data, decoder->n_number),
        };
        return 0;
}

static int frame_decoder_bytes(FrameDecoder *decoder, WireSlice *input, FrameEvent *ret_event) {
        FrameEvent event = { .kind = FRAME_KIND_END, .type = (WireType)decoder->header.type };

        if (decoder->n_left > 0) {
                WireSlice taken = frame_decoder_take(decoder, input, decoder->n_left);

                if (taken.n == 0)
                        return FRAME_E_MORE;
                event.kind = FRAME_KIND_DATA;
                event.data = taken.data;
                event.n_data = taken.n;
        }
        if (decoder->n_left == 0)
                decoder->n_header = 0;
        *ret_event = event;
        return 0;
}

/* Receivers have read the payload of an unknown message when they give up (5.2). */
static int frame_decoder_unknown(FrameDecoder *decoder, WireSlice *input) {
        (void)frame_decoder_take(decoder, input, decoder->n_left);
        return decoder->n_left > 0 ? FRAME_E_MORE : FRAME_E_TYPE;
}

static int frame_decoder_step(FrameDecoder *decoder, WireSlice *input, FrameEvent *ret_event) {
        if (decoder->n_header < WIRE_HEADER_SIZE) {
                WireSlice taken = frame_take(input, WIRE_HEADER_SIZE - decoder->n_header);
                int r;

                if (taken.n > 0)
                        memcpy(decoder->header_data + decoder->n_header, taken.data, taken.n);
                decoder->n_header += taken.n;
                r = frame_decoder_open(decoder);
                if (r)
                        return r;
        }
        if (decoder->n_data_max == 0 || decoder->header.type == WIRE_TYPE_DATA_EXIT_CODE)
                return frame_decoder_number(decoder, input, ret_event);
        if (data_type_is_known(decoder->header.type))
                return frame_decoder_bytes(decoder, input, ret_event);
        return frame_decoder_unknown(decoder, input);
}

int frame_decoder_next(FrameDecoder *decoder, const uint8_t *untrusted_data, size_t n, size_t *n_used,
                       FrameEvent *ret_event) {
        WireSlice input = { .data = untrusted_data, .n = n };
        int r = decoder->error;

        if (!r) {
                r = frame_decoder_step(decoder, &input, ret_event);
                if (r && r != FRAME_E_MORE)
                        decoder->error = r;
        }
        *n_used = n - input.n;
        return r;
}
