/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEC UINT64_C(1000000)

static void test_guard(void **state) {
        Guard guard = {};

        assert_true(guard_left(&guard, 100 * SEC) == UINT64_MAX);
        guard_on_focus(&guard, true, 100 * SEC);
        assert_true(guard_left(&guard, 100 * SEC) == SEC);
        assert_true(guard_left(&guard, 101 * SEC - 1) == 1);
        assert_true(guard_left(&guard, 101 * SEC) == 0);
        assert_true(guard_left(&guard, 500 * SEC) == 0);
        /* moved */
        guard_on_change(&guard, 500 * SEC);
        assert_true(guard_left(&guard, 500 * SEC + 1) == SEC - 1);
        assert_true(guard_left(&guard, 501 * SEC) == 0);
        /* the focus was gone for a moment */
        guard_on_focus(&guard, false, 502 * SEC);
        assert_true(guard_left(&guard, 510 * SEC) == UINT64_MAX);
        guard_on_change(&guard, 510 * SEC);
        assert_true(guard_left(&guard, 520 * SEC) == UINT64_MAX);
        guard_on_focus(&guard, true, 520 * SEC);
        assert_true(guard_left(&guard, 520 * SEC) == SEC);
        /* a clock that does not go on opens nothing */
        assert_true(guard_left(&guard, 519 * SEC) == SEC);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_guard) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
