/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Each reason has a name, and no two have the same. */
static void test_names(void **state) {
        for (unsigned i = 0; i < _SSH_WHY_N; ++i) {
                assert_non_null(ssh_why_name((SshWhy)i));
                for (unsigned k = 0; k < i; ++k)
                        assert_string_not_equal(ssh_why_name((SshWhy)i), ssh_why_name((SshWhy)k));
        }
}

/* Specification, 12: of which refusals people are told. */
static void test_notified(void **state) {
        static const SshWhy notified[] = { SSH_WHY_KIND,
                                           SSH_WHY_HOST,
                                           SSH_WHY_FORWARDED,
                                           SSH_WHY_RATE,
                                           SSH_WHY_SESSION_MISMATCH,
                                           SSH_WHY_HOSTKEY_MISMATCH };
        unsigned n = 0;

        for (unsigned i = 0; i < _SSH_WHY_N; ++i)
                n += ssh_why_is_notified((SshWhy)i);
        assert_int_equal(n, sizeof(notified) / sizeof(notified[0]));
        for (unsigned i = 0; i < n; ++i)
                assert_true(ssh_why_is_notified(notified[i]));
        assert_true(ssh_why_is_suspicious(SSH_WHY_MALFORMED));
        assert_false(ssh_why_is_suspicious(SSH_WHY_HOST));
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_names), cmocka_unit_test(test_notified) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
