/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "gpg/frame.h"

/* What a stream says, written as frames again: each frame's data as one. */
typedef struct Told {
        uint8_t text[65536];
        size_t n;
        int r;
} Told;

static void tell(const uint8_t *data, size_t n, uint32_t seed, Told *ret_told) {
        GpgFrameDecoder decoder = { .n_indexes = 3, .may_exit = true };

        ret_told->n = 0;
        ret_told->r = 0;
        while (n > 0 && !ret_told->r) {
                size_t n_chunk, n_used;
                GpgFrameEvent event;

                seed = seed * 1664525u + 1013904223u;
                n_chunk = seed == 0 ? n : 1 + (seed >> 16) % 40;
                if (n_chunk > n)
                        n_chunk = n;
                do {
                        ret_told->r = gpg_frame_decode(&decoder, data, n_chunk, &n_used, &event);
                        if (ret_told->r)
                                break;
                        fuzz_check(n_used <= n_chunk);
                        data += n_used;
                        n -= n_used;
                        n_chunk -= n_used;
                        switch (event.kind) {
                        case GPG_FRAME_EVENT_NONE:
                                fuzz_check(n_chunk == 0);
                                break;
                        case GPG_FRAME_EVENT_DATA:
                                fuzz_check(event.index < 3 && event.n > 0 && event.n <= GPG_FRAME_DATA_MAX);
                                for (size_t i = 0; i < event.n; ++i) {
                                        ret_told->text[ret_told->n++] = (uint8_t)event.index;
                                        ret_told->text[ret_told->n++] = event.data[i];
                                }
                                break;
                        case GPG_FRAME_EVENT_END:
                                fuzz_check(event.index < 3);
                                ret_told->text[ret_told->n++] = (uint8_t)(0x10 + event.index);
                                break;
                        case GPG_FRAME_EVENT_EXIT:
                                ret_told->text[ret_told->n++] = 0x20;
                                ret_told->text[ret_told->n++] = event.status;
                                break;
                        }
                } while (event.kind != GPG_FRAME_EVENT_NONE);
        }
}

/* However it is cut into reads, it says the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static Told whole, cut;

        if (n < 4 || n > 16384)
                return 0;
        tell(data + 4, n - 4, 0, &whole);
        tell(data + 4, n - 4, 1 + (uint32_t)data[0] + 256u * data[1] + 65536u * data[2], &cut);
        fuzz_check(whole.r == cut.r && whole.n == cut.n && memcmp(whole.text, cut.text, whole.n) == 0);
        return 0;
}
