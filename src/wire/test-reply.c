/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/header.h"

static void test_reply_decode(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                int expect;
                Reply reply;
        } cases[] = {
#define CASE(_name, _bytes, ...) { _name, _bytes, sizeof(_bytes) - 1, __VA_ARGS__ }
                CASE("framed", "\x01\0\xff\x7f\x11\0\0\0", 0, { WIRE_DOMAIN_FRAMED, 17 }),
                CASE("direct", "\x03\0\xff\x7f\x11\0\0\0", 0, { WIRE_DOMAIN_DIRECT, 17 }),
                CASE("dial", "\x2b\0\0\0\x02\x02\0\0", 0, { 43, 514 }),
                CASE("refused, the first reason", "\0\0\xff\x7f\x11\0\0\0\x01\0\0\0", 0,
                     { WIRE_DOMAIN_REFUSED, 17, REPLY_REASON_REFUSED }),
                CASE("refused before it was a call", "\0\0\xff\x7f\0\0\0\0\x02\0\0\0", 0,
                     { WIRE_DOMAIN_REFUSED, 0, REPLY_REASON_NOT_A_DOMAIN }),
                CASE("refused, the last reason", "\0\0\xff\x7f\x11\0\0\0\x05\0\0\0", 0,
                     { WIRE_DOMAIN_REFUSED, 17, REPLY_REASON_NOT_UNDERSTOOD }),
                CASE("nothing yet", "", REPLY_E_MORE),
                CASE("seven bytes", "\x01\0\xff\x7f\x11\0\0", REPLY_E_MORE),
                CASE("refused without reason", "\0\0\xff\x7f\x11\0\0\0", REPLY_E_MORE),
                CASE("refused with part of a reason", "\0\0\xff\x7f\x11\0\0\0\x01\0\0", REPLY_E_MORE),
                CASE("a byte left over", "\x01\0\xff\x7f\x11\0\0\0\0", REPLY_E_MALFORMED),
                CASE("refused with a byte left over", "\0\0\xff\x7f\x11\0\0\0\x01\0\0\0\0", REPLY_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Reply reply = { .connect_port = 4711 };
                uint8_t again[REPLY_REFUSED_SIZE];
                int r = reply_decode((const uint8_t *)cases[i].bytes, cases[i].n, &reply);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r) {
                        assert_int_equal(reply.connect_port, 4711);
                        continue;
                }
                if (reply.connect_domain != cases[i].reply.connect_domain ||
                    reply.connect_port != cases[i].reply.connect_port || reply.reason != cases[i].reply.reason)
                        fail_msg("%s: got %#x, %u, %d", cases[i].name, reply.connect_domain, reply.connect_port,
                                 (int)reply.reason);
                assert_int_equal(reply_encode(&reply, again), cases[i].n);
                assert_memory_equal(again, cases[i].bytes, cases[i].n);
        }
}

/* A newer broker's reason is still a refusal. */
static void test_unknown_reason(void **state) {
        static const uint8_t reasons[] = { 0, 6, 0xff };

        for (size_t i = 0; i < ARRAY_SIZE(reasons); ++i) {
                uint8_t bytes[REPLY_REFUSED_SIZE] = { 0, 0, 0xff, 0x7f, 1, 0, 0, 0, reasons[i] };
                Reply reply = {};

                assert_int_equal(reply_decode(bytes, sizeof(bytes), &reply), 0);
                assert_int_equal(reply.reason, REPLY_REASON_REFUSED);
        }
}

static void test_reason_text(void **state) {
        for (int i = REPLY_REASON_REFUSED; i <= REPLY_REASON_NOT_UNDERSTOOD; ++i)
                for (int j = REPLY_REASON_REFUSED; j < i; ++j)
                        assert_string_not_equal(reply_reason_text((ReplyReason)i), reply_reason_text((ReplyReason)j));
        assert_string_equal(reply_reason_text((ReplyReason)99), "refused");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reply_decode),
                cmocka_unit_test(test_unknown_reason),
                cmocka_unit_test(test_reason_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
