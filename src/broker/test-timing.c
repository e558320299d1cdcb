/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/timing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* A single value comes back at most a quarter too large, and never too small. */
static void test_one_value(void **state) {
        for (uint64_t usec = 0; usec < (UINT64_C(1) << 36); usec = usec < 300 ? usec + 1 : usec * 9 / 8) {
                Histogram histogram = {};
                uint64_t got;

                histogram_add(&histogram, usec);
                got = histogram_quantile(&histogram, 500);
                if (got < usec || got > usec + usec / 4)
                        fail_msg("%llu: got %llu", (unsigned long long)usec, (unsigned long long)got);
        }
}

static void test_quantiles(void **state) {
        static const struct {
                const char *name;
                unsigned n_small, n_large, per_mille;
                bool expect_large;
        } cases[] = {
                { "median of equals", 100, 0, 500, false },
                { "99th of 1 in 100", 99, 1, 990, false },
                { "99th of 2 in 100", 98, 2, 990, true },
                { "median of half", 50, 50, 500, false },
                { "median of more than half", 49, 51, 500, true },
                { "the largest", 99, 1, 1000, true },
                { "the smallest", 1, 99, 0, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Histogram histogram = {};

                for (unsigned k = 0; k < cases[i].n_small; ++k)
                        histogram_add(&histogram, 3);
                for (unsigned k = 0; k < cases[i].n_large; ++k)
                        histogram_add(&histogram, 1000000);
                assert_int_equal(histogram.n, cases[i].n_small + cases[i].n_large);
                if ((histogram_quantile(&histogram, cases[i].per_mille) >= 1000000) != cases[i].expect_large)
                        fail_msg("%s: got %llu", cases[i].name,
                                 (unsigned long long)histogram_quantile(&histogram, cases[i].per_mille));
        }
}

static void test_edges(void **state) {
        Histogram histogram = {};

        assert_int_equal(histogram_quantile(&histogram, 500), 0);
        histogram_add(&histogram, UINT64_MAX);
        histogram_add(&histogram, UINT64_C(1) << 40);
        assert_int_equal(histogram.buckets[TIMING_BUCKETS_N - 1], 2);
        assert_true(histogram_quantile(&histogram, 500) > UINT64_C(1) << 35);
}

static void test_services(void **state) {
        _cleanup_(timing_deinit) Timing timing = {};

        assert_int_equal(timing_add(&timing, "my.Echo+x", STAGE_RUN, 10), 0);
        assert_int_equal(timing_add(&timing, "my.Echo", STAGE_RUN, 10), 0);
        assert_int_equal(timing_add(&timing, "my.Ech", STAGE_RUN, 10), 0);
        assert_int_equal(timing_add(&timing, "my.Never", STAGE_START, STAGE_NONE), 0);
        assert_int_equal(timing.n_services, 2);
        assert_string_equal(timing.services[0]->name, "my.Echo");
        assert_int_equal(timing.services[0]->stages[STAGE_RUN].n, 2);
        assert_int_equal(timing.services[0]->stages[STAGE_START].n, 0);
}

/* However many names a domain makes up, the memory is bounded, and nothing is left uncounted. */
static void test_too_many_services(void **state) {
        _cleanup_(timing_deinit) Timing timing = {};
        uint64_t n = 0;

        for (unsigned i = 0; i < 1000; ++i) {
                char name[300];

                memset(name, 'x', sizeof(name));
                snprintf(name, sizeof(name), "s%u", i);
                if (i % 2)
                        name[strlen(name)] = 'y'; /* a name of 299 characters: longer than any service's */
                name[sizeof(name) - 1] = '\0';
                assert_int_equal(timing_add(&timing, name, STAGE_DECIDE, i), 0);
        }
        assert_int_equal(timing.n_services, TIMING_SERVICES_MAX + 1);
        assert_string_equal(timing.services[TIMING_SERVICES_MAX]->name, "(other)");
        for (size_t i = 0; i < timing.n_services; ++i)
                n += timing.services[i]->stages[STAGE_DECIDE].n;
        assert_int_equal(n, 1000);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_value),
                cmocka_unit_test(test_quantiles),
                cmocka_unit_test(test_edges),
                cmocka_unit_test(test_services),
                cmocka_unit_test(test_too_many_services),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
