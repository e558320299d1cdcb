/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors are those of the protocol specification, Appendix B. */
#include "wire/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_vectors(void **state) {
        static const struct {
                const char *name, *bytes;
                uint32_t type, length;
        } cases[] = {
                { "HELLO", "\x00\x03\x00\x00\x04\x00\x00\x00", WIRE_TYPE_HELLO, 4 },
                { "EXEC_CMDLINE", "\x00\x02\x00\x00\x26\x00\x00\x00", WIRE_TYPE_EXEC_CMDLINE, 38 },
                { "SERVICE_CONNECT", "\x02\x02\x00\x00\x28\x00\x00\x00", WIRE_TYPE_SERVICE_CONNECT, 40 },
                { "SERVICE_REFUSED", "\x03\x02\x00\x00\x20\x00\x00\x00", WIRE_TYPE_SERVICE_REFUSED, 32 },
                { "CONNECTION_TERMINATED", "\x11\x02\x00\x00\x08\x00\x00\x00", WIRE_TYPE_CONNECTION_TERMINATED, 8 },
                { "TRIGGER_SERVICE4", "\x13\x02\x00\x00\xab\x00\x00\x00", WIRE_TYPE_TRIGGER_SERVICE4, 171 },
                { "DATA_STDIN", "\x90\x01\x00\x00\x03\x00\x00\x00", WIRE_TYPE_DATA_STDIN, 3 },
                { "DATA_STDOUT end-of-file", "\x91\x01\x00\x00\x00\x00\x00\x00", WIRE_TYPE_DATA_STDOUT, 0 },
                { "DATA_EXIT_CODE", "\x93\x01\x00\x00\x04\x00\x00\x00", WIRE_TYPE_DATA_EXIT_CODE, 4 },
                { "an unknown type and the largest length", "\xff\xfe\xfd\xfc\xff\xff\xff\xff", UINT32_C(0xfcfdfeff),
                  UINT32_MAX },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t again[WIRE_HEADER_SIZE];
                WireHeader header;

                assert_int_equal(wire_header_decode((const uint8_t *)cases[i].bytes, WIRE_HEADER_SIZE, &header), 0);
                if (header.type != cases[i].type || header.length != cases[i].length)
                        fail_msg("%s: got type %#x, length %u", cases[i].name, header.type, header.length);
                wire_header_encode(header, again);
                if (memcmp(again, cases[i].bytes, sizeof(again)) != 0)
                        fail_msg("%s: other bytes when encoded", cases[i].name);
        }
}

static void test_short(void **state) {
        static const uint8_t bytes[WIRE_HEADER_SIZE + 1] = { 1, 0, 0, 0, 2, 0, 0, 0, 3 };
        WireHeader header = { 77, 78 };

        for (size_t n = 0; n < WIRE_HEADER_SIZE; ++n)
                assert_int_equal(wire_header_decode(bytes, n, &header), WIRE_HEADER_E_SHORT);
        assert_int_equal(header.type, 77);
        /* What follows is the payload, not ours. */
        assert_int_equal(wire_header_decode(bytes, sizeof(bytes), &header), 0);
        assert_int_equal(header.type, 1);
        assert_int_equal(header.length, 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors), cmocka_unit_test(test_short) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
