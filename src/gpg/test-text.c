/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_printable(void **state) {
        static const struct {
                const char *name, *text;
                size_t n;
                bool expect;
        } cases[] = {
#define CASE(_name, _text, _expect) { _name, _text, sizeof(_text) - 1, _expect }
                CASE("empty", "", true),
                CASE("the first and the last of ASCII", " ~", true),
                CASE("below the first", "\x1f", false),
                CASE("NUL", "a\0", false),
                CASE("newline", "a\n", false),
                CASE("DEL", "\x7f", false),
                CASE("a continuation byte alone", "\x80", false),
                CASE("two bytes, overlong", "\xc1\xbf", false),
                CASE("U+0080", "\xc2\x80", false),
                CASE("U+009F, the last C1 control", "\xc2\x9f", false),
                CASE("U+00A0", "\xc2\xa0", true),
                CASE("U+07FF", "\xdf\xbf", true),
                CASE("two bytes, the second missing", "a\xc3", false),
                CASE("two bytes, the second is none",
                     "\xc3"
                     "a",
                     false),
                CASE("three bytes, overlong", "\xe0\x9f\xbf", false),
                CASE("U+0800", "\xe0\xa0\x80", true),
                CASE("U+D7FF", "\xed\x9f\xbf", true),
                CASE("U+D800, a surrogate", "\xed\xa0\x80", false),
                CASE("U+E000", "\xee\x80\x80", true),
                CASE("U+FFFF", "\xef\xbf\xbf", true),
                CASE("three bytes, the last missing", "\xe1\x80", false),
                CASE("three bytes, the last is none", "\xe1\x80z", false),
                CASE("four bytes, overlong", "\xf0\x8f\xbf\xbf", false),
                CASE("U+10000", "\xf0\x90\x80\x80", true),
                CASE("U+10FFFF", "\xf4\x8f\xbf\xbf", true),
                CASE("U+110000", "\xf4\x90\x80\x80", false),
                CASE("five bytes", "\xf8\x88\x80\x80\x80", false),
                CASE("0xff", "\xff", false),
                CASE("good, then bad", "abc\xc3\xa9\xff", false),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (gpg_text_is_printable(cases[i].text, cases[i].n) != cases[i].expect)
                        fail_msg("%s: not %d", cases[i].name, cases[i].expect);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_printable) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
