/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void test_cstring(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input, n_text;
                bool fails;
        } cases[] = {
#define CASE(_name, _input, _n_text, _fails) { _name, _input, sizeof(_input) - 1, _n_text, _fails }
                CASE("empty", "\0\0\0\0", 0, false),
                CASE("text", "\0\0\0\3abc", 3, false),
                CASE("a byte short", "\0\0\0\4abc", 0, true),
                CASE("no room for the length", "\0\0\0", 0, true),
                CASE("longer than anything",
                     "\xff\xff\xff\xff"
                     "abc",
                     0, true),
                CASE("NUL inside", "\0\0\0\3a\0c", 0, true),
                CASE("NUL at the end", "\0\0\0\3ab\0", 0, true),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                WireReader reader = WIRE_READER_INIT((const uint8_t *)cases[i].input, cases[i].n_input);
                WireSlice text = ssh_read_cstring(&reader);

                if (text.n != cases[i].n_text || reader.failed != cases[i].fails)
                        fail_msg("%s: %zu bytes, failed %d", cases[i].name, text.n, reader.failed);
        }
}

static void test_there_and_back(void **state) {
        uint8_t data[32];
        WireWriter writer = WIRE_WRITER_INIT(data, sizeof(data));
        WireReader reader;

        ssh_write_u32(&writer, 0x01020304);
        ssh_write_u64(&writer, UINT64_C(0x0102030405060708));
        ssh_write_slice(&writer, SLICE_OF("abc"));
        assert_false(writer.failed);
        assert_memory_equal(data, "\1\2\3\4\1\2\3\4\5\6\7\10\0\0\0\3abc", 19);

        reader = WIRE_READER_INIT(data, writer.n);
        assert_int_equal(ssh_read_u32(&reader), 0x01020304);
        assert_true(ssh_read_u64(&reader) == UINT64_C(0x0102030405060708));
        assert_true(slice_is(ssh_read_string(&reader), "abc"));
        assert_int_equal(wire_reader_finish(&reader), 0);

        ssh_write_string(&writer, data, 20);
        assert_true(writer.failed);
}

static void test_slices(void **state) {
        assert_true(slice_is((WireSlice){}, ""));
        assert_false(slice_is(SLICE_OF("abc"), "ab"));
        assert_false(slice_is(SLICE_OF("ab"), "abc"));
        assert_true(slice_equal(SLICE_OF("abc"), SLICE_OF("abc")));
        assert_false(slice_equal(SLICE_OF("abc"), SLICE_OF("abd")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cstring),
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_slices),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
