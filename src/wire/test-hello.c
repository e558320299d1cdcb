/* SPDX-License-Identifier: Apache-2.0 */
/* "fact N" is a line of the protocol specification's Appendix A, vectors are from its Appendix B. */
#include "wire/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/header.h"

static void test_hello_decode(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                uint32_t version_min;
                int expect;
                uint32_t expect_version, expect_effective;
        } cases[] = {
#define CASE(_name, _bytes, _min, ...) { _name, _bytes, sizeof(_bytes) - 1, _min, __VA_ARGS__ }
                CASE("vector HELLO 4", "\x04\0\0\0", WIRE_VERSION_MIN, 0, 4, 4),
                CASE("vector HELLO 3 on a daemon socket", "\x03\0\0\0", WIRE_VERSION_DAEMON, 0, 3, 3),
                CASE("version 2", "\x02\0\0\0", WIRE_VERSION_MIN, 0, 2, 2),
                CASE("version 1, fact 9", "\x01\0\0\0", WIRE_VERSION_MIN, HELLO_E_VERSION),
                CASE("version 0", "\0\0\0\0", WIRE_VERSION_MIN, HELLO_E_VERSION),
                CASE("version 5, fact 8", "\x05\0\0\0", WIRE_VERSION_MIN, 0, 5, 4),
                CASE("version 4 on a daemon socket, fact 11", "\x04\0\0\0", WIRE_VERSION_DAEMON, 0, 4, 4),
                CASE("version 2 on a daemon socket, fact 11", "\x02\0\0\0", WIRE_VERSION_DAEMON, HELLO_E_VERSION),
                CASE("largest version", "\xff\xff\xff\xff", WIRE_VERSION_MIN, 0, UINT32_MAX, 4),
                CASE("empty", "", WIRE_VERSION_MIN, HELLO_E_MALFORMED),
                CASE("one byte short", "\x04\0\0", WIRE_VERSION_MIN, HELLO_E_MALFORMED),
                CASE("one byte left over", "\x04\0\0\0\0", WIRE_VERSION_MIN, HELLO_E_MALFORMED),
                CASE("eight bytes, the first four valid, fact 10", "\x04\0\0\0\0\0\0\0", WIRE_VERSION_MIN,
                     HELLO_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Hello hello = { 4711 };
                uint8_t again[HELLO_SIZE];
                int r = hello_decode((const uint8_t *)cases[i].bytes, cases[i].n, cases[i].version_min, &hello);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r) {
                        assert_int_equal(hello.version, 4711);
                        continue;
                }
                if (hello.version != cases[i].expect_version ||
                    hello_effective_version(&hello, WIRE_VERSION) != cases[i].expect_effective)
                        fail_msg("%s: got version %u", cases[i].name, hello.version);
                hello_encode(&hello, again);
                if (memcmp(again, cases[i].bytes, sizeof(again)) != 0)
                        fail_msg("%s: other bytes when encoded", cases[i].name);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_hello_decode) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
