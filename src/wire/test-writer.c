/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

static void test_writes(void **state) {
        static const uint8_t expect[] = { 0x01, 0x04, 0x03, 0x02, 0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03,
                                          0x02, 0x01, 'a',  'b',  'x',  0,    0,    0,    '#',  '#' };
        uint8_t data[21];
        WireWriter writer = WIRE_WRITER_INIT(data, 19);
        size_t n = 0;

        memset(data, '#', sizeof(data));
        wire_writer_u8(&writer, 1);
        wire_writer_u32(&writer, UINT32_C(0x01020304));
        wire_writer_u64(&writer, UINT64_C(0x0102030405060708));
        wire_writer_bytes(&writer, "ab", 2);
        wire_writer_field(&writer, "x", 4);
        wire_writer_bytes(&writer, NULL, 0);
        assert_int_equal(wire_writer_finish(&writer, &n), 0);
        assert_int_equal(n, 19);
        assert_memory_equal(data, expect, sizeof(expect));
}

/* Each way to write beyond the end, by one byte: nothing is written, now and for ever after. */
static void test_overrun_is_remembered(void **state) {
        for (int way = 0; way < 5; ++way) {
                static const size_t n_max[] = { 0, 3, 7, 1, 3 };
                uint8_t data[16];
                WireWriter writer = WIRE_WRITER_INIT(data, n_max[way]);
                size_t n = 4711;

                memset(data, '#', sizeof(data));
                switch (way) {
                case 0:
                        wire_writer_u8(&writer, 1);
                        break;
                case 1:
                        wire_writer_u32(&writer, 1);
                        break;
                case 2:
                        wire_writer_u64(&writer, 1);
                        break;
                case 3:
                        wire_writer_bytes(&writer, "ab", 2);
                        break;
                case 4:
                        wire_writer_field(&writer, "a", 4);
                        break;
                }
                wire_writer_u8(&writer, 1);
                assert_int_equal(wire_writer_finish(&writer, &n), -EMSGSIZE);
                assert_int_equal(n, 4711);
                for (size_t i = 0; i < sizeof(data); ++i)
                        assert_int_equal(data[i], '#');
        }
}

static void test_field_limits(void **state) {
        uint8_t data[8];
        WireWriter writer = WIRE_WRITER_INIT(data, sizeof(data));
        size_t n;

        wire_writer_field(&writer, "abc", 4); /* with its NUL it fits exactly */
        assert_int_equal(wire_writer_finish(&writer, &n), 0);
        assert_memory_equal(data, "abc", 4);
        wire_writer_field(&writer, "abcd", 4);
        assert_int_equal(wire_writer_finish(&writer, &n), -EMSGSIZE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_writes),
                cmocka_unit_test(test_overrun_is_remembered),
                cmocka_unit_test(test_field_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
