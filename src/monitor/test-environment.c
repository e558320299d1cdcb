/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_set_and_get(void **state) {
        char **environment = NULL;

        assert_null(environment_get(environment, "HOME"));
        assert_int_equal(environment_set(&environment, "HOME", "/home/a"), 0);
        assert_int_equal(environment_set(&environment, "HOMES", "many"), 0);
        assert_int_equal(environment_set(&environment, "EMPTY", ""), 0);
        assert_string_equal(environment_get(environment, "HOME"), "/home/a");
        assert_string_equal(environment_get(environment, "HOMES"), "many");
        assert_string_equal(environment_get(environment, "EMPTY"), "");
        assert_null(environment_get(environment, "HOM"));

        /* replaced where it stands: no name is there twice */
        assert_int_equal(environment_set(&environment, "HOME", "/home/b=c"), 0);
        assert_string_equal(environment[0], "HOME=/home/b=c");
        assert_string_equal(environment[1], "HOMES=many");
        assert_string_equal(environment[2], "EMPTY=");
        assert_null(environment[3]);
        environment_free(environment);
        environment_free(NULL);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_set_and_get),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
