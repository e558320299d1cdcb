/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diagnostic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/test-capture.h"

static void test_diagnostic_format(void **state) {
        static const struct {
                unsigned line, column;
                const char *expect;
        } cases[] = {
                { 0, 0, "a.conf: broken" },
                { 3, 0, "a.conf:3: broken" },
                { 3, 14, "a.conf:3:14: broken" },
                { 0, 14, "a.conf: broken" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char path[] = "a.conf", text[] = "broken";
                Diagnostic diagnostic = { path, cases[i].line, cases[i].column, text };
                _cleanup_free_ char *formatted = diagnostic_format(&diagnostic);

                assert_non_null(formatted);
                assert_string_equal(formatted, cases[i].expect);
        }
}

static void test_diagnostics_add(void **state) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        char path[] = "first.conf";

        assert_int_equal(diagnostics_add(&diagnostics, path, 1, 2, "unknown key \"%s\"", "colour"), 0);
        memcpy(path, "other", 5); /* the path was copied */
        assert_int_equal(diagnostics_add(&diagnostics, "second.conf", 0, 0, "empty"), 0);

        assert_int_equal(diagnostics.n_entries, 2);
        assert_string_equal(diagnostics.entries[0].path, "first.conf");
        assert_string_equal(diagnostics.entries[0].text, "unknown key \"colour\"");
        assert_int_equal(diagnostics.entries[0].line, 1);
        assert_int_equal(diagnostics.entries[0].column, 2);
        assert_string_equal(diagnostics.entries[1].path, "second.conf");
}

static void test_diagnostics_limit(void **state) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;

        for (unsigned i = 0; i < DIAGNOSTICS_MAX; ++i)
                assert_int_equal(diagnostics_add(&diagnostics, "x", i + 1, 0, "finding"), 0);
        assert_int_equal(diagnostics.n_entries, DIAGNOSTICS_MAX);
        assert_int_equal(diagnostics.n_dropped, 0);

        assert_int_equal(diagnostics_add(&diagnostics, "x", 0, 0, "one more"), 0);
        assert_int_equal(diagnostics.n_entries, DIAGNOSTICS_MAX);
        assert_int_equal(diagnostics.n_dropped, 1);
}

static void test_diagnostics_log(void **state) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Capture capture;
        const char *text;

        assert_int_equal(diagnostics_add(&diagnostics, "a", 1, 0, "one"), 0);
        assert_int_equal(diagnostics_add(&diagnostics, "b", 2, 0, "100%% of %d", 2), 0);
        diagnostics.n_dropped = 5;

        capture_begin(&capture);
        diagnostics_log(&diagnostics);
        text = capture_end(&capture);
        assert_string_equal(text, "qair: a:1: one\nqair: b:2: 100% of 2\nqair: … and 5 more errors\n");
}

static void test_diagnostics_deinit(void **state) {
        Diagnostics diagnostics = DIAGNOSTICS_INIT;

        diagnostics_deinit(&diagnostics); /* empty */
        assert_int_equal(diagnostics_add(&diagnostics, "a", 1, 0, "one"), 0);
        diagnostics_deinit(&diagnostics);
        assert_null(diagnostics.entries);
        assert_int_equal(diagnostics.n_entries, 0);
        diagnostics_deinit(&diagnostics); /* again */
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_diagnostic_format),  cmocka_unit_test(test_diagnostics_add),
                cmocka_unit_test(test_diagnostics_limit),  cmocka_unit_test(test_diagnostics_log),
                cmocka_unit_test(test_diagnostics_deinit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
