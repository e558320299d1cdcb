/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/vmexec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define WORDS_MAX 5

static void test_decode(void **state) {
        static const struct {
                const char *name, *argument;
                int expect;
                const char *expect_words[WORDS_MAX];
        } cases[] = {
                { "one word", "ls", 0, { "ls" } },
                { "an option", "ls+--la", 0, { "ls", "-la" } },
                { "slashes", "-2Fbin-2Fls", 0, { "/bin/ls" } },
                { "a blank", "echo+Hello-20world", 0, { "echo", "Hello world" } },
                { "an empty word at the end", "echo+", 0, { "echo", "" } },
                { "an empty word at the beginning", "+x", 0, { "", "x" } },
                { "empty words", "++", 0, { "", "", "" } },
                { "left to right", "---61", 0, { "-a" } },
                { "a long option", "----help", 0, { "--help" } },
                { "all that stands for itself", "AZaz09._", 0, { "AZaz09._" } },
                { "bytes", "-01-FF-0A", 0, { "\x01\xff\n" } },
                { "a plus", "a-2Bb", 0, { "a+b" } },
                { "nothing", "", VMEXEC_E_NONE, {} },
                { "dash at the end", "a-", VMEXEC_E_ESCAPE, {} },
                { "dash at the end of a word", "a-+b", VMEXEC_E_ESCAPE, {} },
                { "one digit", "-A", VMEXEC_E_ESCAPE, {} },
                { "one digit at the end of a word", "-A+1", VMEXEC_E_ESCAPE, {} },
                { "lower case", "-0a", VMEXEC_E_ESCAPE, {} },
                { "lower case first", "-a0", VMEXEC_E_ESCAPE, {} },
                { "no digit", "-0G", VMEXEC_E_ESCAPE, {} },
                { "NUL", "a-00b", VMEXEC_E_NUL, {} },
                { "a blank as it is", "a b", VMEXEC_E_BYTE, {} },
                { "a slash as it is", "/bin/ls", VMEXEC_E_BYTE, {} },
                { "beyond ASCII", "\xc3\xa4", VMEXEC_E_BYTE, {} },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char **words = NULL;
                size_t n = 0;
                int r = vmexec_decode(cases[i].argument, &words);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r) {
                        assert_null(words);
                        assert_non_null(vmexec_error_text(r));
                        continue;
                }
                for (; cases[i].expect_words[n]; ++n)
                        if (!words[n] || strcmp(words[n], cases[i].expect_words[n]) != 0)
                                fail_msg("%s: word %zu is \"%s\"", cases[i].name, n, words[n] ? words[n] : "(none)");
                if (words[n])
                        fail_msg("%s: one word too many, \"%s\"", cases[i].name, words[n]);
        }
}

static void test_encode(void **state) {
        static const struct {
                const char *name;
                const char *words[WORDS_MAX];
                int expect;
                const char *expect_argument;
        } cases[] = {
                { "one word", { "ls" }, 0, "ls" },
                { "an option", { "ls", "-la" }, 0, "ls+--la" },
                { "slashes", { "/bin/ls" }, 0, "-2Fbin-2Fls" },
                { "a blank", { "echo", "Hello world" }, 0, "echo+Hello-20world" },
                { "an empty word", { "echo", "" }, 0, "echo+" },
                { "a plus, bytes", { "a+b", "\x01\xff" }, 0, "a-2Bb+-01-FF" },
                { "nothing", {}, VMEXEC_E_NONE, NULL },
                { "an empty word alone", { "" }, VMEXEC_E_NONE, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *argument = NULL;
                int r = vmexec_encode((char *const *)cases[i].words, &argument);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (!r && strcmp(argument, cases[i].expect_argument) != 0)
                        fail_msg("%s: %s", cases[i].name, argument);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_encode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
