/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

typedef struct Thing {
        int id;
        int *n_freed;
} Thing;

static Thing *thing_free(Thing *thing) {
        ++*thing->n_freed;
        return NULL;
}
DEFINE_CLEANUP(Thing *, thing_free)

static void test_cleanup_calls_the_destructor(void **state) {
        int n_freed = 0;

        {
                _cleanup_(thing_freep) Thing *thing = &(Thing){ .n_freed = &n_freed };
                _cleanup_(thing_freep) Thing *nothing = NULL;

                assert_int_equal(thing->id, 0);
                assert_null(nothing);
        }
        assert_int_equal(n_freed, 1);
}

static void test_steal_leaves_nothing_to_free(void **state) {
        int n_freed = 0;
        Thing thing = { .n_freed = &n_freed };
        Thing *taken;

        {
                _cleanup_(thing_freep) Thing *owner = &thing;

                taken = steal_ptr(&owner);
                assert_null(owner);
        }
        assert_ptr_equal(taken, &thing);
        assert_int_equal(n_freed, 0);
}

/* Leaks and double frees show under the sanitizers. */
static void test_cleanup_free(void **state) {
        _cleanup_free_ char *text = malloc(1);
        _cleanup_free_ char *stolen = malloc(1);
        _cleanup_free_ char *nothing = NULL;
        char *taken = steal_ptr(&stolen);

        assert_non_null(text);
        assert_null(nothing);
        free(taken);
}

static void test_macros(void **state) {
        Thing thing = { .id = 7 };
        static const int numbers[] = { 1, 2, 3 };

        assert_ptr_equal(container_of(&thing.n_freed, Thing, n_freed), &thing);
        assert_int_equal(ARRAY_SIZE(numbers), 3);
        assert_int_equal(BIT(0), 1);
        assert_true(BIT(31) == UINT32_C(0x80000000));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cleanup_calls_the_destructor),
                cmocka_unit_test(test_steal_leaves_nothing_to_free),
                cmocka_unit_test(test_cleanup_free),
                cmocka_unit_test(test_macros),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
