/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include <stdio.h>

/* What a stream says, as text: data in brackets, its pieces joined. */
static int tell(bool may_exit, size_t n_indexes, const uint8_t *bytes, size_t n, size_t n_chunk, char *ret_text,
                bool *ret_between) {
        GpgFrameDecoder decoder = { .n_indexes = n_indexes, .may_exit = may_exit };
        char *at = ret_text;

        *at = '\0';
        for (size_t i = 0; i < n; i += n_chunk) {
                size_t n_left = n - i < n_chunk ? n - i : n_chunk, n_used;
                const uint8_t *data = bytes + i;
                GpgFrameEvent event;

                do {
                        int r = gpg_frame_decode(&decoder, data, n_left, &n_used, &event);

                        if (r)
                                return r;
                        data += n_used;
                        n_left -= n_used;
                        if (event.kind == GPG_FRAME_EVENT_DATA)
                                at += sprintf(at, "%zu:%.*s ", event.index, (int)event.n, (const char *)event.data);
                        else if (event.kind == GPG_FRAME_EVENT_END)
                                at += sprintf(at, "%zu end ", event.index);
                        else if (event.kind == GPG_FRAME_EVENT_EXIT)
                                at += sprintf(at, "exit %u ", event.status);
                } while (event.kind != GPG_FRAME_EVENT_NONE);
                assert_int_equal(n_left, 0);
        }
        *ret_between = gpg_frame_is_between(&decoder);
        return 0;
}

static void test_decode(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                const char *expect;
                bool between;
                int r;
        } cases[] = {
#define CASE(_name, _bytes, ...) { _name, _bytes, sizeof(_bytes) - 1, __VA_ARGS__ }
                CASE("data",
                     "\0\0\0\0"
                     "\1\0\0\0"
                     "a",
                     "0:a ", true),
                CASE("an end",
                     "\1\0\0\0"
                     "\0\0\0\0",
                     "1 end ", true),
                CASE("status 0",
                     "\xff\xff\xff\xff"
                     "\0\0\0\0",
                     "exit 0 ", true),
                CASE("status 2",
                     "\xfd\xff\xff\xff"
                     "\0\0\0\0",
                     "exit 2 ", true),
                CASE("status 255",
                     "\0\xff\xff\xff"
                     "\0\0\0\0",
                     "exit 255 ", true),
                CASE("the low bits of more",
                     "\0\0\0\x80"
                     "\0\0\0\0",
                     "exit 255 ", true),
                CASE("all",
                     "\0\0\0\0"
                     "\1\0\0\0"
                     "a"
                     "\2\0\0\0"
                     "\0\0\0\0"
                     "\xff\xff\xff\xff"
                     "\0\0\0\0",
                     "0:a 2 end exit 0 ", true),
                CASE("half a header",
                     "\0\0\0\0"
                     "\1\0\0",
                     "", false),
                CASE("a header without its data",
                     "\0\0\0\0"
                     "\1\0\0\0",
                     "", false),
                CASE("half the data",
                     "\0\0\0\0"
                     "\2\0\0\0"
                     "a",
                     "0:a ", false),
                CASE("nothing", "", "", true),
                CASE("too long by one",
                     "\0\0\0\0"
                     "\1\x10\0\0",
                     NULL, false, GPG_FRAME_E_LENGTH),
                CASE("an exit that is too long",
                     "\xff\xff\xff\xff"
                     "\1\x10\0\0",
                     NULL, false, GPG_FRAME_E_LENGTH),
                CASE("no such descriptor",
                     "\3\0\0\0"
                     "\1\0\0\0",
                     NULL, false, GPG_FRAME_E_INDEX),
                CASE("no such descriptor ends",
                     "\3\0\0\0"
                     "\0\0\0\0",
                     NULL, false, GPG_FRAME_E_INDEX),
                CASE("the largest index",
                     "\xff\xff\xff\x7f"
                     "\1\0\0\0",
                     NULL, false, GPG_FRAME_E_INDEX),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[256];
                bool between;
                int r = tell(true, 3, (const uint8_t *)cases[i].bytes, cases[i].n, 4096, text, &between);

                if (r != cases[i].r)
                        fail_msg("%s: got %d", cases[i].name, r);
                if (!r && (strcmp(text, cases[i].expect) != 0 || between != cases[i].between))
                        fail_msg("%s: %s, %d", cases[i].name, text, between);
                /* The peer chooses where reads end. */
                if (tell(true, 3, (const uint8_t *)cases[i].bytes, cases[i].n, 1, text, &between) != r)
                        fail_msg("%s: differs byte by byte", cases[i].name);
        }
}

static void test_no_exit(void **state) {
        char text[64];
        bool between;

        assert_int_equal(tell(false, 3, (const uint8_t *)"\xff\xff\xff\xff\0\0\0", 8, 8, text, &between),
                         GPG_FRAME_E_INDEX);
}

static void test_largest(void **state) {
        static uint8_t bytes[GPG_FRAME_HEADER_SIZE + GPG_FRAME_DATA_MAX];
        GpgFrameDecoder decoder = { .n_indexes = 1 };
        GpgFrameEvent event;
        size_t n_used;

        gpg_frame_encode_header(0, GPG_FRAME_DATA_MAX, bytes);
        assert_int_equal(gpg_frame_decode(&decoder, bytes, sizeof(bytes), &n_used, &event), 0);
        assert_int_equal(n_used, sizeof(bytes));
        assert_int_equal(event.n, GPG_FRAME_DATA_MAX);
        assert_true(gpg_frame_is_between(&decoder));
}

static void test_encode(void **state) {
        uint8_t header[GPG_FRAME_HEADER_SIZE];

        gpg_frame_encode_header(2, 4096, header);
        assert_memory_equal(header, "\2\0\0\0\0\x10\0\0", 8);
        gpg_frame_encode_exit(0, header);
        assert_memory_equal(header, "\xff\xff\xff\xff\0\0\0\0", 8);
        gpg_frame_encode_exit(2, header);
        assert_memory_equal(header, "\xfd\xff\xff\xff\0\0\0\0", 8);
        gpg_frame_encode_exit(255, header);
        assert_memory_equal(header, "\x00\xff\xff\xff\0\0\0\0", 8);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_no_exit),
                cmocka_unit_test(test_largest),
                cmocka_unit_test(test_encode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
