/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "policy-tools/filename.h"

static void test_parse(void **state) {
        static const struct {
                const char *text, *name, *invalid;
                bool is_include;
        } cases[] = {
                { "", "" },
                { "30-user", "30-user" },
                { "include", "", NULL, true },
                { "include/", "", NULL, true },
                { "include/admin-policy-ro", "admin-policy-ro", NULL, true },
                { "includes", "includes" },
                { "include/include", "include", NULL, true },
                { "A.b_c-d+e", "A.b_c-d+e" },
                { "../x", NULL, "'/'" },
                { "include/a/b", NULL, "'/'" },
                { "b!a?!", NULL, "'!?'" },
                { "it's", NULL, "\"'\"" },
                { "a\n\x7f", NULL, "'\\n\\x7f'" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char invalid[POLICY_FILE_NAME_QUOTED_MAX];
                PolicyFileName name;
                int r = policy_file_name_parse(cases[i].text, &name, invalid);

                if (r != (cases[i].invalid ? POLICY_FILE_NAME_E_CHARACTERS : 0))
                        fail_msg("'%s': got %d", cases[i].text, r);
                if (r == 0 && (strcmp(name.name, cases[i].name) != 0 || name.is_include != cases[i].is_include))
                        fail_msg("'%s': got '%s'", cases[i].text, name.name);
                if (r != 0 && strcmp(invalid, cases[i].invalid) != 0)
                        fail_msg("'%s': got %s", cases[i].text, invalid);
        }
}

/* Every byte that there is, in one name. */
static void test_all_bytes(void **state) {
        char text[256], invalid[POLICY_FILE_NAME_QUOTED_MAX];
        PolicyFileName name;

        for (size_t i = 1; i < 256; ++i)
                text[i - 1] = (char)i;
        text[255] = '\0';
        assert_int_equal(policy_file_name_parse(text, &name, invalid), POLICY_FILE_NAME_E_CHARACTERS);
        assert_int_equal(invalid[strlen(invalid) - 1], invalid[0]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_all_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
