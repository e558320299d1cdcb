/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/quote.h"

static void test_quote(void **state) {
        static const struct {
                const char *name;
                PolicySlice text;
                const char *quoted, *shown;
        } cases[] = {
#define CASE(_name, _text, _quoted, _shown) { _name, { _text, sizeof(_text) - 1 }, _quoted, _shown }
                CASE("nothing", "", "''", ""),
                CASE("plain", "s.Go", "'s.Go'", "s.Go"),
                CASE("backslash", "a\\b", "'a\\\\b'", "a\\b"),
                CASE("quotation mark", "a\"b", "'a\"b'", "a\"b"),
                CASE("apostrophe", "it's", "\"it's\"", "it's"),
                CASE("both", "'\"", "'\\'\"'", "'\""),
                CASE("LF CR TAB", "\n\r\t", "'\\n\\r\\t'", "\\n\\r\\t"),
                CASE("NUL", "a\0b", "'a\\x00b'", "a\\x00b"),
                CASE("first and last control", "\x01\x1f\x7f", "'\\x01\\x1f\\x7f'", "\\x01\\x1f\\x7f"),
                CASE("first and last printable", " ~", "' ~'", " ~"),
                CASE("two bytes, below 256", "\xc3\xa9", "'\\xe9'", "\\xe9"),
                CASE("two bytes, 256", "\xc4\x80", "'\\u0100'", "\\u0100"),
                CASE("three bytes", "\xef\xbb\xbf", "'\\ufeff'", "\\ufeff"),
                CASE("four bytes", "\xf0\x9f\x98\x80", "'\\U0001f600'", "\\U0001f600"),
                CASE("not UTF-8", "\xff", "'\\xff'", "\\xff"),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *quoted = policy_quote_new(cases[i].text);
                _cleanup_free_ char *shown = policy_show_new(cases[i].text);

                assert_non_null(quoted);
                assert_non_null(shown);
                if (strcmp(quoted, cases[i].quoted) != 0)
                        fail_msg("%s: %s", cases[i].name, quoted);
                if (strcmp(shown, cases[i].shown) != 0)
                        fail_msg("%s: %s", cases[i].name, shown);
        }
}

/* However small the buffer: it is closed, and no escape is cut in two. */
static void test_cut(void **state) {
        static const struct {
                size_t n_buffer;
                const char *expect;
        } cases[] = {
                { 3, "''" }, { 4, "'a'" }, { 7, "'a'" }, { 8, "'a\\x01'" }, { 9, "'a\\x01b'" }, { 100, "'a\\x01b'" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char buffer[100];

                memset(buffer, 'X', sizeof(buffer));
                assert_string_equal(policy_quote(buffer, cases[i].n_buffer,
                                                 POLICY_SLICE("a\x01"
                                                              "b")),
                                    cases[i].expect);
                if (cases[i].n_buffer < sizeof(buffer))
                        assert_int_equal(buffer[cases[i].n_buffer], 'X');
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quote),
                cmocka_unit_test(test_cut),
        };

        return cmocka_run_group_tests_name("policy/quote", tests, NULL, NULL);
}
