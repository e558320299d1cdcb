/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "data/frame.h"

#define HELLO   "\0\x03\0\0\x04\0\0\0\x04\0\0\0"
#define HELLO_2 "\0\x03\0\0\x04\0\0\0\x02\0\0\0"

/* What a decoder says about these bytes, in words: pieces of a payload that follow each other are joined. */
static void describe(const char *input, size_t n, size_t n_piece, char *ret_text, size_t n_max) {
        FrameDecoder decoder = FRAME_DECODER_INIT;
        size_t n_text = 0;
        bool joining = false;
        int r = 0;

        ret_text[0] = '\0';
        for (size_t at = 0; at < n && (r == 0 || r == FRAME_E_MORE);) {
                size_t n_now = n - at < n_piece ? n - at : n_piece;
                FrameEvent event = {};
                size_t n_used;
                const char *data;

                r = frame_decoder_next(&decoder, (const uint8_t *)input + at, n_now, &n_used, &event);
                assert_in_range(n_used, 0, n_now);
                if (r == FRAME_E_MORE)
                        assert_int_equal(n_used, n_now);
                at += n_used;
                if (r)
                        continue;
                data = (const char *)event.data;
                if (event.kind == FRAME_KIND_DATA && joining)
                        n_text += (size_t)snprintf(ret_text + n_text, n_max - n_text, "%.*s", (int)event.n_data, data);
                else if (event.kind == FRAME_KIND_DATA)
                        n_text += (size_t)snprintf(ret_text + n_text, n_max - n_text, " %x:%.*s", event.type,
                                                   (int)event.n_data, data);
                else if (event.kind == FRAME_KIND_END)
                        n_text += (size_t)snprintf(ret_text + n_text, n_max - n_text, " %x-end", event.type);
                else if (event.kind == FRAME_KIND_HELLO)
                        n_text += (size_t)snprintf(ret_text + n_text, n_max - n_text, "hello-%u", event.version);
                else
                        n_text += (size_t)snprintf(ret_text + n_text, n_max - n_text, " exit-%d", event.status);
                joining = event.kind == FRAME_KIND_DATA;
        }
        if (r && r != FRAME_E_MORE) {
                size_t n_used;
                FrameEvent event;

                (void)snprintf(ret_text + n_text, n_max - n_text, " error: %s", frame_error_text(r));
                assert_int_equal(frame_decoder_next(&decoder, (const uint8_t *)input, n, &n_used, &event), r);
                assert_int_equal(n_used, 0);
        }
}

static void test_frames(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                const char *expect;
        } cases[] = {
#define CASE(_name, _input, _expect) { _name, _input, sizeof(_input) - 1, _expect }
                CASE("a HELLO", HELLO, "hello-4"),
                CASE("version 2", HELLO_2, "hello-2"),
                CASE("version 5 is negotiated down", "\0\x03\0\0\x04\0\0\0\x05\0\0\0", "hello-4"),
                CASE("the largest version", "\0\x03\0\0\x04\0\0\0\xff\xff\xff\xff", "hello-4"),
                CASE("version 1", "\0\x03\0\0\x04\0\0\0\x01\0\0\0", " error: it speaks a version that is too old"),
                CASE("a short HELLO", "\0\x03\0\0\x03\0\0\0\x04\0\0", " error: its first message is no HELLO"),
                CASE("a long HELLO", "\0\x03\0\0\x05\0\0\0\x04\0\0\0\0", " error: its first message is no HELLO"),
                CASE("data first", "\x90\x01\0\0\x04\0\0\0\x04\0\0\0", " error: its first message is no HELLO"),
                CASE("HELLO cut", "\0\x03\0\0\x04\0\0\0\x04\0\0", ""),
                CASE("DATA_STDIN hi", HELLO "\x90\x01\0\0\x03\0\0\0hi\n", "hello-4 190:hi\n"),
                CASE("DATA_STDOUT, its end", HELLO "\x91\x01\0\0\x02\0\0\0ab\x91\x01\0\0\0\0\0\0",
                     "hello-4 191:ab 191-end"),
                CASE("two frames", HELLO "\x92\x01\0\0\x01\0\0\0x\x91\x01\0\0\0\0\0\0\x90\x01\0\0\x01\0\0\0y",
                     "hello-4 192:x 191-end 190:y"),
                CASE("exit code 42", HELLO "\x93\x01\0\0\x04\0\0\0\x2a\0\0\0", "hello-4 exit-42"),
                CASE("81: an exit code of one byte", HELLO "\x93\x01\0\0\x01\0\0\0\0", "hello-4 exit-255"),
                CASE("an exit code of no byte, and more", HELLO "\x93\x01\0\0\0\0\0\0\x91\x01\0\0\0\0\0\0",
                     "hello-4 exit-255 191-end"),
                CASE("an exit code of six bytes", HELLO "\x93\x01\0\0\x06\0\0\0\x07\0\0\0\x63\x63\x91\x01\0\0\0\0\0\0",
                     "hello-4 exit-7 191-end"),
                CASE("85: an unknown type", HELLO "\x94\x01\0\0\x02\0\0\0ab",
                     "hello-4 error: it sent a message of unknown type"),
                CASE("an unknown type, its payload still to come", HELLO "\x94\x01\0\0\x02\0\0\0a", "hello-4"),
                CASE("a HELLO again", HELLO HELLO, "hello-4 error: it sent a message of unknown type"),
                CASE("a chunk of 65537", HELLO "\x90\x01\0\0\x01\0\x01\0",
                     "hello-4 error: it sent a chunk above the limit"),
                CASE("the largest length", HELLO "\x90\x01\0\0\xff\xff\xff\xff",
                     "hello-4 error: it sent a chunk above the limit"),
                CASE("version 2, a chunk of 4097", HELLO_2 "\x90\x01\0\0\x01\x10\0\0",
                     "hello-2 error: it sent a chunk above the limit"),
                CASE("version 2, a chunk of 4096 begins", HELLO_2 "\x90\x01\0\0\0\x10\0\0x", "hello-2 190:x"),
                CASE("a chunk of 65536 begins", HELLO "\x90\x01\0\0\0\0\x01\0x", "hello-4 190:x"),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                for (size_t n_piece = 1; n_piece <= cases[i].n_input; ++n_piece) {
                        char text[256];

                        describe(cases[i].input, cases[i].n_input, n_piece, text, sizeof(text));
                        if (strcmp(text, cases[i].expect) != 0)
                                fail_msg("%s, in pieces of %zu: got \"%s\", want \"%s\"", cases[i].name, n_piece, text,
                                         cases[i].expect);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frames),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
