/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/lexer.h"

static void test_utf8(void **state) {
        static const struct {
                const char *name;
                PolicySlice text;
                size_t expect; /* length, 0: invalid */
                uint32_t code_point;
        } cases[] = {
#define CASE(_name, _text, _expect, _code_point) { _name, { _text, sizeof(_text) - 1 }, _expect, _code_point }
                CASE("nothing", "", 0, 0),
                CASE("NUL", "\0", 1, 0),
                CASE("one byte, last", "\x7f", 1, 0x7f),
                CASE("two bytes, first", "\xc2\x80", 2, 0x80),
                CASE("two bytes, last", "\xdf\xbf", 2, 0x7ff),
                CASE("three bytes, first", "\xe0\xa0\x80", 3, 0x800),
                CASE("three bytes, last", "\xef\xbf\xbf", 3, 0xffff),
                CASE("four bytes, first", "\xf0\x90\x80\x80", 4, 0x10000),
                CASE("four bytes, last", "\xf4\x8f\xbf\xbf", 4, 0x10ffff),
                CASE("beyond the last", "\xf4\x90\x80\x80", 0, 0),
                CASE("overlong two", "\xc1\xbf", 0, 0),
                CASE("overlong three", "\xe0\x9f\xbf", 0, 0),
                CASE("overlong four", "\xf0\x8f\xbf\xbf", 0, 0),
                CASE("before the surrogates", "\xed\x9f\xbf", 3, 0xd7ff),
                CASE("first surrogate", "\xed\xa0\x80", 0, 0),
                CASE("last surrogate", "\xed\xbf\xbf", 0, 0),
                CASE("after the surrogates", "\xee\x80\x80", 3, 0xe000),
                CASE("lone continuation", "\x80", 0, 0),
                CASE("cut short", "\xe2\x82", 0, 0),
                CASE("no continuation", "\xc3(", 0, 0),
                CASE("five bytes", "\xf8\x88\x80\x80\x80", 0, 0),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint32_t code_point = 0;
                size_t n = policy_utf8_decode(cases[i].text, &code_point);

                if (n != cases[i].expect || code_point != cases[i].code_point)
                        fail_msg("%s: %zu bytes, U+%04x", cases[i].name, n, code_point);
        }
}

static void test_utf8_check(void **state) {
        assert_int_equal(policy_utf8_check(POLICY_SLICE("")), 0);
        assert_int_equal(policy_utf8_check(POLICY_SLICE("a\nb\xc3\xa9\n")), 0);
        assert_int_equal(policy_utf8_check(POLICY_SLICE("\xff")), 1);
        assert_int_equal(policy_utf8_check(POLICY_SLICE("a\r\nb\rc\n\nd\xff")), 5);
}

/* Each line in brackets, with its number. */
static void test_lines(void **state) {
        static const struct {
                const char *name;
                PolicySlice text;
                const char *expect;
        } cases[] = {
#define CASE(_name, _text, _expect) { _name, { _text, sizeof(_text) - 1 }, _expect }
                CASE("nothing", "", ""),
                CASE("not ended", "a", "1[a]"),
                CASE("LF", "a\nb\n", "1[a]2[b]"),
                CASE("CR LF is one end", "a\r\nb\r\n", "1[a]2[b]"),
                CASE("lone CR", "a\rb", "1[a]2[b]"),
                CASE("LF CR is two", "a\n\rb", "1[a]2[]3[b]"),
                CASE("empty lines count", "\n\na", "1[]2[]3[a]"),
                CASE("blanks at both ends", " \t a b \v\f", "1[a b]"),
                CASE("Unicode blanks at both ends",
                     "\xe3\x80\x80"
                     "a\xc2\xa0",
                     "1[a]"),
                CASE("only blanks", " \t ", "1[]"),
                CASE("NEL, LS and PS do not end a line",
                     "a\xc2\x85"
                     "b\xe2\x80\xa8"
                     "c\xe2\x80\xa9"
                     "d",
                     "1[a\xc2\x85"
                     "b\xe2\x80\xa8"
                     "c\xe2\x80\xa9"
                     "d]"),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                PolicyLines lines = POLICY_LINES_INIT(cases[i].text);
                PolicySlice line;
                char got[128] = "";
                int n = 0;

                while (policy_lines_next(&lines, &line))
                        n += snprintf(got + n, sizeof(got) - (size_t)n, "%u[%.*s]", lines.line, (int)line.n, line.text);
                if (strcmp(got, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].name, got);
        }
}

static void test_words(void **state) {
        static const struct {
                const char *name, *text, *expect;
        } cases[] = {
                { "none", "", "" },
                { "only blanks", " \t\xe2\x80\x83", "" },
                { "one", "a", "[a]" },
                { "runs of blanks", "  a \t b  ", "[a][b]" },
                { "VT, FF and the separators",
                  "a\vb\fc\x1c"
                  "d\x1d"
                  "e\x1e"
                  "f\x1f"
                  "g",
                  "[a][b][c][d][e][f][g]" },
                { "first and last of U+2000",
                  "a\xe2\x80\x80"
                  "b\xe2\x80\x8a"
                  "c",
                  "[a][b][c]" },
                { "U+1680, U+205F",
                  "a\xe1\x9a\x80"
                  "b\xe2\x81\x9f"
                  "c",
                  "[a][b][c]" },
                { "zero width space is no blank",
                  "a\xe2\x80\x8b"
                  "b",
                  "[a\xe2\x80\x8b"
                  "b]" },
                { "word joiner is no blank",
                  "a\xe2\x81\xa0"
                  "b",
                  "[a\xe2\x81\xa0"
                  "b]" },
                { "U+1B and backspace are no blanks",
                  "a\x1b\x08"
                  "b",
                  "[a\x1b\x08"
                  "b]" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                PolicySlice rest = policy_slice(cases[i].text), word;
                char got[128] = "";
                int n = 0;
                size_t n_words = 0;

                while (policy_words_next(&rest, &word)) {
                        n += snprintf(got + n, sizeof(got) - (size_t)n, "[%.*s]", (int)word.n, word.text);
                        ++n_words;
                }
                if (strcmp(got, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].name, got);
                assert_int_equal(policy_words_count(policy_slice(cases[i].text)), n_words);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_utf8),
                cmocka_unit_test(test_utf8_check),
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests_name("policy/lexer", tests, NULL, NULL);
}
