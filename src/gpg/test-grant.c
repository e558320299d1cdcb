/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/grant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_valid(void **state) {
        static const struct {
                const char *name;
                int64_t given, now;
                uint32_t lasts;
                bool expect;
        } cases[] = {
                { "just given", 1000, 1000, 300, true },
                { "at its last second", 1000, 1300, 300, true },
                { "a second later", 1000, 1301, 300, false },
                { "no time, the same second", 1000, 1000, 0, true },
                { "no time, the next second", 1000, 1001, 0, false },
                { "given in the future", 1001, 1000, 300, false },
                { "an hour in the future", 4600, 1000, 300, false },
                { "as long as can be", 0, 999999999, 999999999, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (gpg_grant_is_valid(cases[i].given, cases[i].now, cases[i].lasts) != cases[i].expect)
                        fail_msg("%s: not %d", cases[i].name, cases[i].expect);
}

static void test_parse(void **state) {
        static const struct {
                const char *text;
                bool expect;
                uint32_t sec;
        } cases[] = {
                { "0", true, 0 },        { "300", true, 300 }, { "007", true, 7 }, { "999999999", true, 999999999 },
                { "1000000000", false }, { "", false },        { "abc", false },   { "3s", false },
                { "-1", false },         { "+1", false },      { " 1", false },    { "1 ", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint32_t sec = 0;

                if (gpg_grant_parse_seconds(cases[i].text, &sec) != cases[i].expect || sec != cases[i].sec)
                        fail_msg("'%s': %u", cases[i].text, sec);
        }
}

static void test_format(void **state) {
        static const struct {
                uint32_t sec;
                const char *expect;
        } cases[] = {
                { 0, "" },
                { 1, "1 second" },
                { 300, "5 minutes" },
                { 3600, "1 hour" },
                { 86400, "1 day" },
                { 2 * 86400 + 3 * 3600 + 60 + 2, "2 days 3 hours 1 minute 2 seconds" },
                { 999999999, "11574 days 1 hour 46 minutes 39 seconds" },
        };
        char text[GPG_GRANT_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                assert_string_equal(gpg_grant_format_seconds(cases[i].sec, text), cases[i].expect);
}

static void test_source(void **state) {
        static const struct {
                const char *source;
                bool expect;
        } cases[] = {
                { "work", true },
                { "disp1234", true },
                { "1", true },
                { "a.b_c-d", true },
                { "", false },
                { ".", false },
                { "..", false },
                { "-a", false },
                { "_a", false },
                { "a/b", false },
                { "a b", false },
                { "a\n", false },
                { "\xc3\xa9", false },
                { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true },
                { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (gpg_source_is_valid(cases[i].source) != cases[i].expect)
                        fail_msg("'%s': not %d", cases[i].source, cases[i].expect);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_valid),
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_source),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
