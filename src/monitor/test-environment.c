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

static void test_copy(void **state) {
        char *from[] = { (char *)"A=1", (char *)"B=2", NULL };
        char **copy = NULL;

        assert_int_equal(environment_copy(from, &copy), 0);
        assert_int_equal(environment_set(&copy, "B", "3"), 0);
        assert_string_equal(copy[0], "A=1");
        assert_string_equal(copy[1], "B=3");
        assert_null(copy[2]);
        assert_string_equal(from[1], "B=2");
        environment_free(copy);

        assert_int_equal(environment_copy(from + 2, &copy), 0);
        assert_null(copy[0]);
        environment_free(copy);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_set_and_get),
                cmocka_unit_test(test_copy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
