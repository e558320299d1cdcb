/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static void test_split(void **state) {
        static const struct {
                const char *name, *text, *expect; /* the words with | behind each */
                int r;
        } cases[] = {
                { "one word", "/bin/true", "/bin/true|" },
                { "words", "/bin/echo a b", "/bin/echo|a|b|" },
                { "blanks around and between", " \t/bin/echo  \t a ", "/bin/echo|a|" },
                { "words of one letter", "a b c d", "a|b|c|d|" },
                { "double quotes", "/bin/echo \"a b\" c", "/bin/echo|a b|c|" },
                { "single quotes", "/bin/echo 'a \"b\"'", "/bin/echo|a \"b\"|" },
                { "an empty word", "/bin/echo '' \"\"", "/bin/echo|||" },
                { "a quote in the middle of a word is itself", "a'b c\"d", "a'b|c\"d|" },
                { "escapes", "a\\sb \\\\ \\\" \\' \\t\\n", "a b|\\|\"|'|\t\n|" },
                { "escapes in quotes", "\"\\\"\" '\\'\\x41'", "\"|'A|" },
                { "hexadecimal, both cases", "\\x4a\\x4A\\x01\\xff", "JJ\x01\xff|" },
                { "nothing is expanded", "$HOME ~ * %i $(id) `id` a;b a|b", "$HOME|~|*|%i|$(id)|`id`|a;b|a|b|" },
                { "empty", "", NULL, WORDS_E_EMPTY },
                { "blanks alone", " \t ", NULL, WORDS_E_EMPTY },
                { "double quote not closed", "/bin/echo \"a b", NULL, WORDS_E_QUOTE },
                { "single quote not closed", "'", NULL, WORDS_E_QUOTE },
                { "closed by the other", "'a\"", NULL, WORDS_E_QUOTE },
                { "a word goes on behind its quote", "'a'b", NULL, WORDS_E_QUOTE },
                { "a backslash at the end", "a\\", NULL, WORDS_E_ESCAPE },
                { "a backslash at the end of an open quote", "'a\\", NULL, WORDS_E_ESCAPE },
                { "unknown escape", "\\q", NULL, WORDS_E_ESCAPE },
                { "half a hexadecimal", "\\x4", NULL, WORDS_E_ESCAPE },
                { "no hexadecimal", "\\xg0", NULL, WORDS_E_ESCAPE },
                { "NUL", "\\x00", NULL, WORDS_E_ESCAPE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char **words = NULL;
                char joined[256] = "";
                int r = words_split(cases[i].text, &words);

                if (r != cases[i].r)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].r);
                for (size_t k = 0; words && words[k]; ++k)
                        snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s|", words[k]);
                if (cases[i].expect && strcmp(joined, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].name, joined);
                if (r)
                        assert_string_not_equal(words_error_text(r), words_error_text(0));
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_split),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
