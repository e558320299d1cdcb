/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static void test_format(void **state) {
        static const struct {
                const char *name;
                uint64_t usec;
                const char *expect;
        } cases[] = {
                { "the epoch", 0, "1970-01-01T00:00:00.000000Z" },
                { "microseconds", 1, "1970-01-01T00:00:00.000001Z" },
                { "a leap day", UINT64_C(1709164800000000), "2024-02-29T00:00:00.000000Z" },
                { "now and then", UINT64_C(1795307650123456), "2026-11-22T00:34:10.123456Z" },
                { "the last", UINT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
                { "beyond the last", UINT64_C(253402300800000000), "9999-12-31T23:59:59.999999Z" },
                { "the largest number", UINT64_MAX, "9999-12-31T23:59:59.999999Z" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[CLOCK_TEXT_MAX];

                clock_format(cases[i].usec, text);
                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: got %s, want %s", cases[i].name, text, cases[i].expect);
        }
}

static void test_timeout(void **state) {
        static const struct {
                const char *name;
                uint64_t deadline_usec, now_usec;
                int expect;
        } cases[] = {
                { "without limit", UINT64_MAX, 1, -1 },
                { "now", 1000, 1000, 0 },
                { "over", 999, 1000, 0 },
                { "a moment", 1001, 1000, 1 },
                { "a millisecond", 2000, 1000, 1 },
                { "and a moment", 2001, 1000, 2 },
                { "as long as can be waited", UINT64_C(2147483647000), 0, 2147483647 },
                { "longer", UINT64_C(2147483647001), 0, 2147483647 },
                { "nearly without limit", UINT64_MAX - 1, 0, 2147483647 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int msec = clock_timeout(cases[i].deadline_usec, cases[i].now_usec);

                if (msec != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, msec, cases[i].expect);
        }
}

static void test_clocks(void **state) {
        uint64_t before = clock_now(), realtime = clock_realtime();

        assert_true(clock_now() >= before);
        assert_true(realtime / USEC_PER_SEC + 2 >= (uint64_t)time(NULL));
        assert_true(realtime / USEC_PER_SEC <= (uint64_t)time(NULL));
}

static void test_boottime(void **state) {
        uint64_t before = clock_boottime();

        assert_true(before > 0);
        assert_true(clock_boottime() >= before);
        /* Begun together; only this one goes on while the machine sleeps. */
        before = clock_now();
        assert_true(clock_boottime() >= before);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_boottime),
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_timeout),
                cmocka_unit_test(test_clocks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
