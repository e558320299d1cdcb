/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "policy-tools/check.h"

/* Beyond the cases of the conformance table. */
static void test_check(void **state) {
        char directory[] = "/tmp/qair-check.XXXXXX", path[64];
        const char *directories[] = { "/nonexistent", directory, NULL };
        const struct {
                const char *name, *text;
                PolicyCheckOptions options;
                const char *expect;
        } cases[] = {
                { "not UTF-8", "s * a b allow\n# \xff\n", {}, "f:2: error: invalid UTF-8\n" },
                { "a carriage return ends a line", "s\rs * a b allow\r", {}, "f:1: error: wrong number of fields\n" },
                { "a line that would move the cursor",
                  "s \x1b[2J\tx",
                  { .shows_line = true },
                  "f:1: error: wrong number of fields: s \\x1b[2J\tx\n" },
                { "an included file that is there",
                  "$include:there",
                  { .is_old = true, .directories = directories },
                  "" },
                { "an included file that is not",
                  "$include:gone",
                  { .is_old = true, .directories = directories },
                  "f:1: error: no such policy file: 'gone'\n" },
                { "every line",
                  "x\nx\nx",
                  {},
                  "f:1: error: wrong number of fields\nf:2: error: wrong number of fields\nf:3: error: wrong number of "
                  "fields\n" },
        };

        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/there", directory);
        fclose(fopen(path, "w"));
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *got = NULL;
                size_t n_got = 0, n_errors = 99, n_lines = 0;
                FILE *stream = open_memstream(&got, &n_got);

                assert_int_equal(
                        policy_check(stream, stream, &cases[i].options, "f", policy_slice(cases[i].text), &n_errors),
                        0);
                fclose(stream);
                if (strcmp(got, cases[i].expect) != 0)
                        fail_msg("%s: got %s", cases[i].name, got);
                for (const char *c = got; *c != '\0'; ++c)
                        n_lines += *c == '\n';
                assert_int_equal(n_errors, n_lines);
        }
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_check) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
