/* SPDX-License-Identifier: Apache-2.0 */
/* "fact N" is a line of the protocol specification's Appendix A, vectors are from its Appendix B. */
#include "wire/data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void test_exit_code(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                int32_t expect;
        } cases[] = {
#define CASE(_name, _bytes, _expect) { _name, _bytes, sizeof(_bytes) - 1, _expect }
                CASE("vector DATA_EXIT_CODE 42", "\x2a\0\0\0", 42),
                CASE("success", "\0\0\0\0", 0),
                CASE("largest", "\xff\0\0\0", 255),
                CASE("256 would truncate to success", "\0\x01\0\0", 255),
                CASE("257 would truncate to 1", "\x01\x01\0\0", 255),
                CASE("-1", "\xff\xff\xff\xff", 255),
                CASE("smallest number", "\0\0\0\x80", 255),
                CASE("empty", "", 255),
                CASE("one byte, fact 81", "\0", 255),
                CASE("three bytes", "\0\0\0", 255),
                CASE("of five bytes the first four count", "\x07\0\0\0\x01", 7),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int32_t status = data_exit_code_decode((const uint8_t *)cases[i].bytes, cases[i].n);

                if (status != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, status, cases[i].expect);
        }
        for (int32_t status = 0; status < 256; ++status) {
                uint8_t bytes[DATA_EXIT_CODE_SIZE];

                data_exit_code_encode(status, bytes);
                assert_int_equal(bytes[0], status);
                assert_int_equal(data_exit_code_decode(bytes, sizeof(bytes)), status);
        }
}

static void test_types(void **state) {
        assert_false(data_type_is_known(0x18f));
        for (uint32_t type = WIRE_TYPE_DATA_STDIN; type <= WIRE_TYPE_DATA_EXIT_CODE; ++type)
                assert_true(data_type_is_known(type));
        assert_false(data_type_is_known(0x194));
        assert_false(data_type_is_known(WIRE_TYPE_HELLO));
}

static void test_size_max(void **state) {
        assert_int_equal(data_size_max(2), 4096);  /* fact 14 */
        assert_int_equal(data_size_max(3), 65536); /* fact 15 */
        assert_int_equal(data_size_max(4), 65536);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exit_code),
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_size_max),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
