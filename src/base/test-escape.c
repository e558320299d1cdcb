/* SPDX-License-Identifier: Apache-2.0 */
#include "base/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_escape(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input, n_buffer;
                const char *expect;
        } cases[] = {
#define CASE(_name, _input, _n_buffer, _expect) { _name, _input, sizeof(_input) - 1, _n_buffer, _expect }
                CASE("empty", "", 256, ""),
                CASE("printable ASCII stays", " az AZ 09 ~!\"%s", 256, " az AZ 09 ~!\"%s"),
                CASE("line breaks and tab", "a\nb\rc\td", 256, "a\\nb\\rc\\td"),
                CASE("backslash", "\\n", 256, "\\\\n"),
                CASE("NUL", "a\0b", 256, "a\\x00b"),
                CASE("escape and delete", "\x1b[2J\x7f", 256, "\\x1b[2J\\x7f"),
                CASE("UTF-8 is bytes", "\xc3\xa9", 256, "\\xc3\\xa9"),
                CASE("fits exactly", "abc", 4, "abc"),
                CASE("one too long", "abcd", 4, "abc"),
                CASE("an escape fits exactly", "\x01", 5, "\\x01"),
                CASE("an escape is not cut", "\x01", 4, ""),
                CASE("nothing after what did not fit",
                     "ab\x01"
                     "c",
                     4, "ab"),
                CASE("smallest buffer", "abc", 1, ""),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char buffer[256];

                memset(buffer, '#', sizeof(buffer));
                assert_ptr_equal(escape(buffer, cases[i].n_buffer, cases[i].input, cases[i].n_input), buffer);
                if (strcmp(buffer, cases[i].expect) != 0)
                        fail_msg("%s: got \"%s\", want \"%s\"", cases[i].name, buffer, cases[i].expect);
                for (size_t j = cases[i].n_buffer; j < sizeof(buffer); ++j)
                        if (buffer[j] != '#')
                                fail_msg("%s: wrote beyond the buffer", cases[i].name);
        }
}

static void test_escape_max_is_enough(void **state) {
        for (unsigned byte = 0; byte < 256; ++byte) {
                uint8_t input[2] = { (uint8_t)byte, (uint8_t)byte };
                char buffer[ESCAPE_MAX(2)];
                size_t n;

                escape(buffer, sizeof(buffer), input, 2);
                n = strlen(buffer);
                assert_true(n > 0 && n % 2 == 0);
                assert_memory_equal(buffer, buffer + n / 2, n / 2);
                for (size_t i = 0; i < n; ++i)
                        assert_in_range(buffer[i], 0x20, 0x7e);
        }
}

static void test_escaped_cuts(void **state) {
        char text[1000];

        memset(text, 'a', sizeof(text));
        assert_int_equal(strlen(ESCAPED(text, 255)), 255);
        assert_int_equal(strlen(ESCAPED(text, 256)), 255);
        assert_string_equal(ESCAPED("x\n", 2), "x\\n");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_escape),
                cmocka_unit_test(test_escape_max_is_enough),
                cmocka_unit_test(test_escaped_cuts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
