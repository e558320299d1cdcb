/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes are those of OpenSSH's PROTOCOL.mux. */
#undef NDEBUG
#include "relay/mux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_replies(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                MuxReply reply;
                int expect;
        } cases[] = {
#define CASE(_name, _bytes, ...) { _name, _bytes, sizeof(_bytes) - 1, __VA_ARGS__ }
                CASE("hello", "\0\0\0\1\0\0\0\4", { .type = MUX_TYPE_HELLO, .version = 4 }),
                CASE("hello with an extension", "\0\0\0\1\0\0\0\4\0\0\0\1x\0\0\0\0",
                     { .type = MUX_TYPE_HELLO, .version = 4 }),
                CASE("hello without version", "\0\0\0\1", {}, MUX_E_MALFORMED),
                CASE("opened", "\x80\0\0\6\0\0\0\1\0\0\0\3",
                     { .type = MUX_TYPE_SESSION_OPENED, .request = 1, .session = 3 }),
                CASE("opened, cut", "\x80\0\0\6\0\0\0\1\0\0\0", {}, MUX_E_MALFORMED),
                CASE("opened, and more", "\x80\0\0\6\0\0\0\1\0\0\0\3x", {}, MUX_E_MALFORMED),
                CASE("failure", "\x80\0\0\3\0\0\0\1\0\0\0\2no",
                     { .type = MUX_TYPE_FAILURE, .request = 1, .reason = "no" }),
                CASE("failure whose text is longer than it", "\x80\0\0\3\0\0\0\1\0\0\0\3no", {}, MUX_E_MALFORMED),
                CASE("failure with a length of 4 GiB", "\x80\0\0\3\0\0\0\1\xff\xff\xff\xffno", {}, MUX_E_MALFORMED),
                CASE("denied", "\x80\0\0\2\0\0\0\1\0\0\0\0", { .type = MUX_TYPE_PERMISSION_DENIED, .request = 1 }),
                CASE("exit", "\x80\0\0\4\0\0\0\3\0\0\0\xff",
                     { .type = MUX_TYPE_EXIT_MESSAGE, .session = 3, .status = 255 }),
                CASE("something else", "\x80\0\0\x20whatever", { .type = (MuxType)0x80000020 }),
                CASE("nothing", "", {}, MUX_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                MuxReply reply = {};
                int r = mux_reply_decode((const uint8_t *)cases[i].bytes, cases[i].n, &reply);

                if (r != cases[i].expect || memcmp(&reply, &cases[i].reply, sizeof(reply)) != 0)
                        fail_msg("%s: got %d, type %#x", cases[i].name, r, (unsigned)reply.type);
        }
}

static void test_long_reason(void **state) {
        uint8_t data[12 + 1000] = "\x80\0\0\3\0\0\0\1\0\0\x03\xe8";
        MuxReply reply;

        memset(data + 12, 'x', 1000);
        assert_int_equal(mux_reply_decode(data, sizeof(data), &reply), 0);
        assert_int_equal(strlen(reply.reason), MUX_REASON_MAX);
}

static void test_length(void **state) {
        size_t n;

        assert_int_equal(mux_length_decode((const uint8_t *)"\0\0\x10\0", &n), 0);
        assert_int_equal(n, MUX_PACKET_MAX);
        assert_int_equal(mux_length_decode((const uint8_t *)"\0\0\x10\1", &n), MUX_E_MALFORMED);
}

static void test_encode(void **state) {
        uint8_t data[MUX_OVERHEAD + 2];

        assert_int_equal(mux_hello_encode(data), 12);
        assert_memory_equal(data, "\0\0\0\x08\0\0\0\1\0\0\0\4", 12);
        assert_int_equal(mux_new_session_encode(7, "ls", 2, data), 46);
        assert_memory_equal(data,
                            "\0\0\0\x2a\x10\0\0\2\0\0\0\7\0\0\0\0"
                            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\2ls",
                            46);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_replies),
                cmocka_unit_test(test_long_reason),
                cmocka_unit_test(test_length),
                cmocka_unit_test(test_encode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
