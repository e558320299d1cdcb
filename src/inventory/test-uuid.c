/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "inventory/uuid.h"

static void test_check(void **state) {
        static const struct {
                const char *name, *text;
                int expect;
        } cases[] = {
                { "dom0's", UUID_DOM0, 0 },
                { "all digits", "01234567-89ab-cdef-0123-456789abcdef", 0 },
                { "upper case", "01234567-89AB-cdef-0123-456789abcdef", UUID_E_MALFORMED },
                { "a hyphen elsewhere", "012345678-9ab-cdef-0123-456789abcdef", UUID_E_MALFORMED },
                { "no hyphens", "0123456789abcdef0123456789abcdef", UUID_E_MALFORMED },
                { "one short", "01234567-89ab-cdef-0123-456789abcde", UUID_E_MALFORMED },
                { "one over", "01234567-89ab-cdef-0123-456789abcdeff", UUID_E_MALFORMED },
                { "no digit", "01234567-89ab-cdef-0123-456789abcdeg", UUID_E_MALFORMED },
                { "empty", "", UUID_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (uuid_check(cases[i].text) != cases[i].expect)
                        fail_msg("%s", cases[i].name);
}

/* What is derived is a UUID of its version, always the same, and another for another name. */
static void test_derive(void **state) {
        Uuid one, again, other;

        uuid_of_name("work", &one);
        uuid_of_name("work", &again);
        uuid_of_name("worl", &other);
        assert_int_equal(uuid_check(one.text), 0);
        assert_int_equal(one.text[14], '8');
        assert_non_null(strchr("89ab", one.text[19]));
        assert_string_equal(one.text, again.text);
        assert_string_not_equal(one.text, other.text);
        /* Written down: a change of the function would give every domain another identity. */
        assert_string_equal(one.text, "ff0acdda-13ea-8cb7-9666-bbea117336c9");

        uuid_derive("work", &one);
        uuid_derive("work", &again);
        uuid_derive("worl", &other);
        assert_int_equal(uuid_check(one.text), 0);
        assert_string_equal(one.text, again.text);
        assert_string_not_equal(one.text, other.text);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_check), cmocka_unit_test(test_derive) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
