/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/calltable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define N_BUCKETS 64

/* Calls of which nothing but the number is looked at; made at first use, kept to the end. */
static Call *call_of(uint32_t id) {
        static Call *calls[4 * N_BUCKETS];

        if (!calls[id]) {
                calls[id] = calloc(1, sizeof(Call) + 1);
                calls[id]->id = id;
        }
        return calls[id];
}

static void expect_all(const CallTable *table, uint32_t first, uint32_t end) {
        for (uint32_t id = first; id < end; ++id)
                if (call_table_find(table, id) != call_of(id))
                        fail_msg("call %u is not found", id);
}

static void fill(CallTable *table, uint32_t first, uint32_t end) {
        for (uint32_t id = first; id < end; ++id)
                assert_int_equal(call_table_add(table, call_of(id)), 0);
}

static void forget_all(CallTable *table, uint32_t first, uint32_t end) {
        for (uint32_t id = first; id < end; ++id)
                call_table_remove(table, call_of(id));
        assert_int_equal(table->n_calls, 0);
        call_table_deinit(table);
}

static void test_grows(void **state) {
        CallTable table;

        assert_int_equal(call_table_init(&table), 0);
        fill(&table, 1, N_BUCKETS + 1);
        assert_int_equal(table.n_buckets, N_BUCKETS);
        fill(&table, N_BUCKETS + 1, 3 * N_BUCKETS);
        assert_int_equal(table.n_buckets, 4 * N_BUCKETS);
        expect_all(&table, 1, 3 * N_BUCKETS);
        assert_null(call_table_find(&table, 3 * N_BUCKETS));
        forget_all(&table, 1, 3 * N_BUCKETS);
}

/* Else whoever walks would meet a call twice, or never: one that waits would wait for good. */
static void test_stays_while_it_is_walked(void **state) {
        CallTable table, *walk, *inner;

        assert_int_equal(call_table_init(&table), 0);
        fill(&table, 1, N_BUCKETS + 1);
        walk = call_table_begin_walk(&table);
        inner = call_table_begin_walk(&table);
        fill(&table, N_BUCKETS + 1, N_BUCKETS + 3);
        call_table_end_walk(&inner);
        fill(&table, N_BUCKETS + 3, N_BUCKETS + 5);
        assert_int_equal(table.n_buckets, N_BUCKETS);
        call_table_end_walk(&walk);
        fill(&table, N_BUCKETS + 5, N_BUCKETS + 6);
        assert_int_equal(table.n_buckets, 2 * N_BUCKETS);
        expect_all(&table, 1, N_BUCKETS + 6);
        forget_all(&table, 1, N_BUCKETS + 6);
}

static void test_remove(void **state) {
        CallTable table;

        assert_int_equal(call_table_init(&table), 0);
        fill(&table, 1, 4);
        assert_int_equal(call_table_add(&table, call_of(2 + N_BUCKETS)), 0); /* of the same bucket */
        call_table_remove(&table, call_of(2));
        call_table_remove(&table, call_of(2));
        assert_int_equal(table.n_calls, 3);
        assert_null(call_table_find(&table, 2));
        assert_ptr_equal(call_table_find(&table, 2 + N_BUCKETS), call_of(2 + N_BUCKETS));
        call_table_remove(&table, call_of(2 + N_BUCKETS));
        call_table_remove(&table, call_of(1));
        call_table_remove(&table, call_of(3));
        assert_int_equal(table.n_calls, 0);
        call_table_deinit(&table);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_grows),
                cmocka_unit_test(test_stays_while_it_is_walked),
                cmocka_unit_test(test_remove),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
