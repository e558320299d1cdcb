/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_number_parse(void **state) {
        static const struct {
                const char *name, *text;
                uint64_t min, max;
                int expect;
                uint64_t expect_value;
        } cases[] = {
                { "zero", "0", 0, 10, 0, 0 },
                { "at the minimum", "5", 5, 10, 0, 5 },
                { "below the minimum", "4", 5, 10, NUMBER_E_RANGE },
                { "at the maximum", "10", 5, 10, 0, 10 },
                { "above the maximum", "11", 5, 10, NUMBER_E_RANGE },
                { "largest", "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
                { "overflow in the last addition", "18446744073709551616", 0, UINT64_MAX, NUMBER_E_RANGE },
                { "overflow in a multiplication", "99999999999999999999", 0, UINT64_MAX, NUMBER_E_RANGE },
                { "overflow that wraps into range", "18446744073709551617", 0, 10, NUMBER_E_RANGE },
                { "empty", "", 0, 10, NUMBER_E_MALFORMED },
                { "leading zero", "07", 0, 10, NUMBER_E_MALFORMED },
                { "zero twice", "00", 0, 10, NUMBER_E_MALFORMED },
                { "minus", "-1", 0, 10, NUMBER_E_MALFORMED },
                { "plus", "+1", 0, 10, NUMBER_E_MALFORMED },
                { "leading blank", " 1", 0, 10, NUMBER_E_MALFORMED },
                { "trailing blank", "1 ", 0, 10, NUMBER_E_MALFORMED },
                { "hexadecimal", "0x1", 0, 10, NUMBER_E_MALFORMED },
                { "letter after an overflow", "99999999999999999999x", 0, 10, NUMBER_E_MALFORMED },
                { "byte below the digits", "1/", 0, 100, NUMBER_E_MALFORMED },
                { "byte above the digits", "1:", 0, 100, NUMBER_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint64_t value = 4711;
                int r = number_parse(cases[i].text, strlen(cases[i].text), cases[i].min, cases[i].max, &value);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (value != (r ? 4711 : cases[i].expect_value))
                        fail_msg("%s: value %ju", cases[i].name, (uintmax_t)value);
        }
}

static void test_number_parse_stops_at_n(void **state) {
        uint64_t value;

        assert_int_equal(number_parse("123", 2, 0, 100, &value), 0);
        assert_true(value == 12);
        assert_int_equal(number_parse("1\0"
                                      "2",
                                      3, 0, 1000, &value),
                         NUMBER_E_MALFORMED);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_number_parse),
                cmocka_unit_test(test_number_parse_stops_at_n),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
