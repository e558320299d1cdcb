/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ssh/codec.h"

static void test_match(void **state) {
        static const struct {
                const char *pattern, *text;
                bool expect;
        } cases[] = {
                { "", "", true },
                { "", "a", false },
                { "*", "", true },
                { "*", "anything", true },
                { "?", "", false },
                { "?", "a", true },
                { "?", "ab", false },
                { "a*", "a", true },
                { "a*", "abc", true },
                { "a*", "ba", false },
                { "*c", "abc", true },
                { "*c", "abcd", false },
                { "a*c", "ac", true },
                { "a*c", "abcbc", true },
                { "a*c", "abcb", false },
                { "*a*b*", "xaxbx", true },
                { "*a*b*", "xb", false },
                { "a?c", "abc", true },
                { "a?c", "ac", false },
                { "**", "x", true },
                { "a**b", "ab", true },
                { "A", "a", false },
                { "[a]", "a", false },
                { "work-*", "work-dev", true },
                /* What would take for ever if it were tried each way. */
                { "*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                  false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (ssh_pattern_match(cases[i].pattern, SLICE_OF(cases[i].text)) != cases[i].expect)
                        fail_msg("%s against %s", cases[i].pattern, cases[i].text);
        assert_true(ssh_pattern_match("a?b", (WireSlice){ (const uint8_t *)"a\0b", 3 }));
        assert_false(ssh_pattern_match("a", (WireSlice){ (const uint8_t *)"a\0b", 3 }));
}

static void test_list(void **state) {
        static const struct {
                const char *name;
                const char *patterns[3];
                const char *text;
                bool expect;
        } cases[] = {
                { "one of them", { "git", "root" }, "root", true },
                { "none of them", { "git", "root" }, "admin", false },
                { "negated", { "*", "!root" }, "root", false },
                { "negated first", { "!root", "*" }, "root", false },
                { "not the negated one", { "*", "!root" }, "git", true },
                { "only a negated one matches nothing", { "!root" }, "git", false },
                { "no pattern", {}, "git", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                size_t n = 0;

                while (cases[i].patterns[n])
                        ++n;
                if (ssh_patterns_match((char *const *)cases[i].patterns, n, SLICE_OF(cases[i].text)) != cases[i].expect)
                        fail_msg("%s", cases[i].name);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_match), cmocka_unit_test(test_list) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
