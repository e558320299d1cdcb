/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tools/doctor.h"

/* What sh(1) makes of a word that was quoted; the caller frees it. */
static char *unquote(const char *quoted) {
        _cleanup_free_ char *command = NULL;
        char *text = calloc(1, 4096);
        FILE *shell;

        assert_true(asprintf(&command, "printf %%s %s", quoted) > 0);
        shell = popen(command, "re");
        assert_non_null(shell);
        assert_true(fread(text, 1, 4095, shell) < 4095);
        assert_int_equal(pclose(shell), 0);
        return text;
}

static void test_quote(void **state) {
        static const struct {
                const char *name, *text, *expect;
        } cases[] = {
                { "a plain path", "/etc/qubes/policy.d/30-user.policy", "/etc/qubes/policy.d/30-user.policy" },
                { "nothing", "", "''" },
                { "a blank", "a b", "'a b'" },
                { "a quote", "it's", "'it'\\''s'" },
                { "a command", "$(reboot)`reboot`;reboot", "'$(reboot)`reboot`;reboot'" },
                { "a home", "~root", "'~root'" },
                { "a pattern", "*?[a]", "'*?[a]'" },
                { "a newline", "a\nreboot", "\"$(printf %b '\\0141\\0012\\0162\\0145\\0142\\0157\\0157\\0164')\"" },
                { "an escape sequence", "\033[2J", "\"$(printf %b '\\0033\\0133\\0062\\0112')\"" },
                { "a per cent sign and a control character", "%s\001", "\"$(printf %b '\\0045\\0163\\0001')\"" },
                { "beyond ASCII", "\303\244", "\"$(printf %b '\\0303\\0244')\"" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *quoted = report_quote(cases[i].text), *back = NULL;

                assert_non_null(quoted);
                if (strcmp(quoted, cases[i].expect) != 0)
                        fail_msg("%s: got %s, want %s", cases[i].name, quoted, cases[i].expect);
                back = unquote(quoted);
                if (strcmp(back, cases[i].text) != 0)
                        fail_msg("%s: the shell makes %s of it", cases[i].name, back);
        }
}

static void test_command(void **state) {
        _cleanup_free_ char *command = report_command("mv -- % %", "a b", "c");

        assert_string_equal(command, "mv -- 'a b' c");
}

static void test_report(void **state) {
        _cleanup_(report_deinit) Report report = REPORT_INIT;

        assert_int_equal(report_add(&report, FINDING_ERROR, "files", report_command("chmod go-w %", "x"), "x: %d", 1),
                         0);
        assert_int_equal(report_add(&report, FINDING_NOTE, "kernel", NULL, "old"), 0);
        assert_true(report_add(&report, FINDING_NOTE, "kernel", REPORT_NO_MEMORY, "old") < 0);
        assert_int_equal(report.n_findings, 2);
        assert_int_equal(report.n_of_level[FINDING_ERROR], 1);
        assert_int_equal(report.n_of_level[FINDING_WARNING], 0);
        assert_int_equal(report.n_of_level[FINDING_NOTE], 1);
        assert_string_equal(report.findings[0].text, "x: 1");
        assert_string_equal(report.findings[0].command, "chmod go-w x");
        assert_null(report.findings[1].command);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quote),
                cmocka_unit_test(test_command),
                cmocka_unit_test(test_report),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
