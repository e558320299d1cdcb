/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of a stream do not depend on how it arrives, and say all there is to say: encoded again, they are decoded
 * to the same events. The first byte of the input is the size of the pieces.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "data/frame.h"

#define INPUT_MAX 8192
/** An event of no bytes takes a header; each byte of data is traced on its own, so that pieces make no difference. */
#define TRACE_MAX (INPUT_MAX * 3)

typedef struct Trace {
        uint8_t data[TRACE_MAX];
        size_t n;
} Trace;

static void trace_add(Trace *trace, char what, uint32_t type, uint32_t value) {
        fuzz_check(trace->n + 3 <= sizeof(trace->data));
        trace->data[trace->n++] = (uint8_t)what;
        trace->data[trace->n++] = (uint8_t)type;
        trace->data[trace->n++] = (uint8_t)value;
}

static void trace_run(Trace *trace, const uint8_t *data, size_t n, size_t n_piece) {
        FrameDecoder decoder = FRAME_DECODER_INIT;
        size_t at = 0;
        int r = 0;

        trace->n = 0;
        while (at < n && (r == 0 || r == FRAME_E_MORE)) {
                size_t n_now = n - at < n_piece ? n - at : n_piece, n_used;
                FrameEvent event;

                r = frame_decoder_next(&decoder, data + at, n_now, &n_used, &event);
                fuzz_check(n_used <= n_now && (r != FRAME_E_MORE || n_used == n_now) && (r || n_used > 0));
                at += n_used;
                if (r == FRAME_E_MORE)
                        continue;
                if (r) {
                        trace_add(trace, 'e', 0, (uint32_t)r);
                        return;
                }
                if (event.kind == FRAME_KIND_HELLO)
                        trace_add(trace, 'h', 0, event.version);
                if (event.kind == FRAME_KIND_END)
                        trace_add(trace, '.', event.type, 0);
                if (event.kind == FRAME_KIND_EXIT_STATUS)
                        trace_add(trace, 'x', 0, (uint32_t)event.status);
                if (event.kind == FRAME_KIND_DATA) {
                        fuzz_check(event.n_data > 0 && event.data >= data && event.data + event.n_data <= data + at);
                        for (size_t i = 0; i < event.n_data; ++i)
                                trace_add(trace, 'd', event.type, event.data[i]);
                }
        }
}

/* As an end would have sent it; one byte a frame, for the sake of brevity. Errors have no encoding: they end it. */
static size_t trace_encode(const Trace *trace, uint8_t *ret_data) {
        size_t n = 0;

        for (size_t i = 0; i < trace->n; i += 3) {
                WireHeader header = { .type = 0x100u | trace->data[i + 1] };
                uint8_t payload[4] = { trace->data[i + 2] };

                switch (trace->data[i]) {
                case 'h':
                        header = (WireHeader){ .type = WIRE_TYPE_HELLO, .length = 4 };
                        break;
                case 'x':
                        header = (WireHeader){ .type = WIRE_TYPE_DATA_EXIT_CODE, .length = 4 };
                        break;
                case 'd':
                        header.length = 1;
                        break;
                case 'e':
                        return n;
                }
                wire_header_encode(header, ret_data + n);
                memcpy(ret_data + n + WIRE_HEADER_SIZE, payload, header.length);
                n += WIRE_HEADER_SIZE + header.length;
        }
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t encoded[TRACE_MAX / 3 * (WIRE_HEADER_SIZE + 4)];
        static Trace whole, pieces;
        size_t n_encoded;

        if (n < 1 || n > INPUT_MAX)
                return 0;
        trace_run(&whole, data + 1, n - 1, n);
        trace_run(&pieces, data + 1, n - 1, (data[0] & 31u) + 1);
        fuzz_check(whole.n == pieces.n && memcmp(whole.data, pieces.data, whole.n) == 0);

        n_encoded = trace_encode(&whole, encoded);
        trace_run(&pieces, encoded, n_encoded, n_encoded);
        if (whole.n > 0 && whole.data[whole.n - 3] == 'e')
                whole.n -= 3;
        fuzz_check(whole.n == pieces.n && memcmp(whole.data, pieces.data, whole.n) == 0);
        return 0;
}
