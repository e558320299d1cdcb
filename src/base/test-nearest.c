/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/nearest.h"

static const char *const words[] = { "label", "tags", "user", "uuid", "template", "template_for_dispvms", "on", NULL };

static const char *get_word(const void *userdata, size_t i) {
        return ((const char *const *)userdata)[i];
}

static void test_nearest(void **state) {
        static const struct {
                const char *name, *text, *expect;
        } cases[] = {
                { "the word itself", "label", "label" },
                { "a letter missing", "labl", "label" },
                { "a letter too many", "llabel", "label" },
                { "two letters swapped", "lable", "label" },
                { "case does not matter", "LABEL", "label" },
                { "of two equally near, the first", "uusr", "user" },
                { "two of four wrong", "tugz", "tags" },
                { "three of four wrong", "xuxs", NULL },
                { "one of two wrong", "of", "on" },
                { "a third of a long word", "template_for_xxxxxxs", "template_for_dispvms" },
                { "more than that", "template_fxxxxxxxxxx", NULL },
                { "nothing like any", "colour", NULL },
                { "empty", "", NULL },
        };
        char text[NEAREST_LENGTH_MAX + 2] = {};

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const char *got = nearest(cases[i].text, strlen(cases[i].text), get_word, words);

                if ((got == NULL) != (cases[i].expect == NULL) || (got && strcmp(got, cases[i].expect) != 0))
                        fail_msg("%s: got %s, want %s", cases[i].name, got ?: "none", cases[i].expect ?: "none");
        }

        memset(text, 'a', NEAREST_LENGTH_MAX + 1);
        assert_null(nearest(text, NEAREST_LENGTH_MAX + 1, get_word, (const char *const[]){ text, NULL }));
        text[NEAREST_LENGTH_MAX] = '\0';
        assert_non_null(nearest(text, NEAREST_LENGTH_MAX, get_word, (const char *const[]){ text, NULL }));
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_nearest) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
