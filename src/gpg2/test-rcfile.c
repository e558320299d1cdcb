/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/rcfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define V RCFILE_VARIABLE

static void test_parse(void **state) {
        static const struct {
                const char *name, *text;
                int r;
                const char *domain;
        } cases[] = {
                { "nothing", "", RCFILE_E_NONE, "" },
                { "an assignment", V "=vault\n", 0, "vault" },
                { "no newline", V "=vault", 0, "vault" },
                { "exported", "export " V "=vault\n", 0, "vault" },
                { "quoted", V "=\"@dispvm:x\"\n", 0, "@dispvm:x" },
                { "quoted otherwise", "  " V "='vault' \n", 0, "vault" },
                { "a comment", "# " V "=vault\n", RCFILE_E_NONE, "" },
                { "another variable", "X" V "=vault\n" V "X=vault\n", RCFILE_E_NONE, "" },
                { "the last of two", V "=a\n" V "=b\n", 0, "b" },
                { "between others", "A=1\n" V "=vault\n. /etc/x\n", 0, "vault" },
                { "empty", V "=\n", RCFILE_E_INVALID, "" },
                { "a shell's expansion", V "=$(hostname)\n", RCFILE_E_INVALID, "" },
                { "one quote", V "=\"vault\n", RCFILE_E_INVALID, "" },
                { "a digit first", V "=1vault\n", RCFILE_E_INVALID, "" },
                { "an option", V "=--x\n", RCFILE_E_INVALID, "" },
                { "an @ within", V "=a@b\n", RCFILE_E_INVALID, "" },
                { "63", V "=a23456789012345678901234567890123456789012345678901234567890123\n", 0,
                  "a23456789012345678901234567890123456789012345678901234567890123" },
                { "64", V "=a234567890123456789012345678901234567890123456789012345678901234\n", RCFILE_E_INVALID, "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                VaultName domain = {};
                int r = rcfile_parse(cases[i].text, &domain);

                if (r != cases[i].r || strcmp(domain.text, cases[i].domain) != 0)
                        fail_msg("%s: got %d, \"%s\"", cases[i].name, r, domain.text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
