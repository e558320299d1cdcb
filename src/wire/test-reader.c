/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint8_t bytes[] = { 0x01, 0x80, 0xff, 0x7f, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90 };

static void test_integers_are_little_endian(void **state) {
        WireReader reader = WIRE_READER_INIT(bytes, 13);

        assert_int_equal(wire_reader_u8(&reader), 0x01);
        assert_true(wire_reader_u32(&reader) == UINT32_C(0x107fff80));
        assert_true(wire_reader_u64(&reader) == UINT64_C(0x9080706050403020));
        assert_int_equal(wire_reader_finish(&reader), 0);
}

static void test_slices(void **state) {
        WireReader reader = WIRE_READER_INIT(bytes, 5);
        WireSlice slice;

        slice = wire_reader_bytes(&reader, 2);
        assert_ptr_equal(slice.data, bytes);
        assert_int_equal(slice.n, 2);
        slice = wire_reader_bytes(&reader, 0);
        assert_int_equal(slice.n, 0);
        slice = wire_reader_rest(&reader, 3);
        assert_ptr_equal(slice.data, bytes + 2);
        assert_int_equal(slice.n, 3);
        slice = wire_reader_rest(&reader, 0);
        assert_int_equal(slice.n, 0);
        assert_int_equal(wire_reader_finish(&reader), 0);
}

static void test_rest_has_a_limit(void **state) {
        WireReader reader = WIRE_READER_INIT(bytes, 5);
        WireSlice slice = wire_reader_rest(&reader, 4);

        assert_int_equal(slice.n, 0);
        assert_null(slice.data);
        assert_int_equal(wire_reader_finish(&reader), WIRE_READER_E_MALFORMED);
}

/* Each way to read beyond the end, by one byte: zero or nothing, now and for ever after. */
static void test_overrun_is_remembered(void **state) {
        for (int way = 0; way < 4; ++way) {
                static const size_t n[] = { 0, 3, 7, 9 };
                WireReader reader = WIRE_READER_INIT(bytes, n[way]);

                switch (way) {
                case 0:
                        assert_int_equal(wire_reader_u8(&reader), 0);
                        break;
                case 1:
                        assert_int_equal(wire_reader_u32(&reader), 0);
                        break;
                case 2:
                        assert_int_equal(wire_reader_u64(&reader), 0);
                        break;
                case 3:
                        assert_null(wire_reader_bytes(&reader, 10).data);
                        break;
                }
                assert_int_equal(wire_reader_finish(&reader), WIRE_READER_E_MALFORMED);
                /* Bytes that are there are not given out any more. */
                assert_int_equal(wire_reader_u8(&reader), 0);
                assert_int_equal(wire_reader_bytes(&reader, 1).n, 0);
                assert_int_equal(wire_reader_rest(&reader, 100).n, 0);
                assert_int_equal(wire_reader_finish(&reader), WIRE_READER_E_MALFORMED);
        }
}

static void test_huge_request(void **state) {
        WireReader reader = WIRE_READER_INIT(bytes, sizeof(bytes));

        assert_int_equal(wire_reader_bytes(&reader, SIZE_MAX).n, 0);
        assert_int_equal(wire_reader_finish(&reader), WIRE_READER_E_MALFORMED);
}

static void test_bytes_left_over(void **state) {
        WireReader reader = WIRE_READER_INIT(bytes, 2);

        wire_reader_u8(&reader);
        assert_int_equal(wire_reader_finish(&reader), WIRE_READER_E_MALFORMED);
        wire_reader_u8(&reader);
        assert_int_equal(wire_reader_finish(&reader), 0);
}

/* An empty message may come without memory. */
static void test_nothing_to_read(void **state) {
        WireReader reader = WIRE_READER_INIT(NULL, 0);

        assert_int_equal(wire_reader_bytes(&reader, 0).n, 0);
        assert_int_equal(wire_reader_rest(&reader, 10).n, 0);
        assert_int_equal(wire_reader_finish(&reader), 0);
        assert_int_equal(wire_reader_u8(&reader), 0);
        assert_int_equal(wire_reader_finish(&reader), WIRE_READER_E_MALFORMED);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_integers_are_little_endian),
                cmocka_unit_test(test_slices),
                cmocka_unit_test(test_rest_has_a_limit),
                cmocka_unit_test(test_overrun_is_remembered),
                cmocka_unit_test(test_huge_request),
                cmocka_unit_test(test_bytes_left_over),
                cmocka_unit_test(test_nothing_to_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
