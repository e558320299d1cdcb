/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/callids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_none(void **state) {
        CallIds ids = {};

        assert_int_equal(call_ids_take(&ids), 0);
        assert_true(call_ids_want_more(&ids));
        assert_false(call_ids_want_more(&ids)); /* asked already */
}

static void test_first_block(void **state) {
        CallIds ids = {};

        assert_int_equal(call_ids_add(&ids, 1), 0);
        assert_int_equal(call_ids_take(&ids), 1);
        assert_int_equal(call_ids_take(&ids), 2);
        assert_false(call_ids_want_more(&ids));
}

/* No id twice, none out of a block that did not come, whatever the order of events. */
static void test_blocks_follow(void **state) {
        CallIds ids = {};
        uint32_t last = 0;

        assert_int_equal(call_ids_add(&ids, 10001), 0);
        for (uint32_t i = 0; i < SUPERVISE_IDS_BLOCK; ++i) {
                if (call_ids_want_more(&ids)) {
                        assert_int_equal(i, SUPERVISE_IDS_BLOCK / 2);
                        assert_int_equal(call_ids_add(&ids, 50001), 0);
                }
                last = call_ids_take(&ids);
                assert_int_equal(last, 10001 + i);
        }
        assert_int_equal(last, 20000);
        assert_int_equal(call_ids_take(&ids), 50001);
}

static void test_late_block(void **state) {
        CallIds ids = {};

        assert_int_equal(call_ids_add(&ids, 1), 0);
        for (uint32_t i = 0; i < SUPERVISE_IDS_BLOCK; ++i)
                assert_int_equal(call_ids_take(&ids), i + 1);
        assert_int_equal(call_ids_take(&ids), 0);
        assert_int_equal(call_ids_add(&ids, 10001), 0);
        assert_int_equal(call_ids_take(&ids), 10001);
}

static void test_invalid(void **state) {
        CallIds ids = {};

        assert_int_equal(call_ids_add(&ids, 0), CALL_IDS_E_INVALID);
        assert_int_equal(call_ids_add(&ids, SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK + 2), CALL_IDS_E_INVALID);
        assert_int_equal(call_ids_add(&ids, SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK + 1), 0);
        assert_int_equal(call_ids_add(&ids, 1), 0); /* the spare one */
        assert_int_equal(call_ids_add(&ids, 10001), CALL_IDS_E_INVALID);
        for (uint32_t i = 0; i < SUPERVISE_IDS_BLOCK; ++i)
                assert_in_range(call_ids_take(&ids), 1, SUPERVISE_IDS_MAX);
        assert_int_equal(call_ids_take(&ids), 1);
}

static void test_may_run(void **state) {
        static const struct {
                const char *name;
                uint32_t first, id;
                bool expect;
        } cases[] = {
                { "the one before", 10001, 10000, true },
                { "the first of all", 10001, 1, true },
                { "the next", 10001, 10001, false },
                { "the last of the block", 10001, 20000, false },
                { "of the block after it", 10001, 20001, false },
                { "half the way round", 10001, 10001 + SUPERVISE_IDS_MAX / 2, false },
                { "more than half", 10001, 10002 + SUPERVISE_IDS_MAX / 2, true },
                { "of the round before", 10001, SUPERVISE_IDS_MAX, true },
                { "of the round that follows", SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK + 1, 1, false },
                { "nobody's", 10001, 0, false },
                { "beyond all", 10001, SUPERVISE_IDS_MAX + 1, false },
                { "without a block", 0, 4711, true },
                { "nobody's, without a block", 0, 0, false },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
                CallIds ids = {};

                if (cases[i].first > 0)
                        assert_int_equal(call_ids_add(&ids, cases[i].first), 0);
                if (call_ids_may_run(&ids, cases[i].id) != cases[i].expect)
                        fail_msg("%s: want %d", cases[i].name, cases[i].expect);
        }
}

/* One that was taken is behind, the next is ahead, whatever blocks there are. */
static void test_may_run_once_taken(void **state) {
        CallIds ids = {};

        assert_int_equal(call_ids_add(&ids, 1), 0);
        assert_false(call_ids_may_run(&ids, 1));
        assert_int_equal(call_ids_take(&ids), 1);
        assert_true(call_ids_may_run(&ids, 1));
        assert_false(call_ids_may_run(&ids, 2));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_none),
                cmocka_unit_test(test_first_block),
                cmocka_unit_test(test_blocks_follow),
                cmocka_unit_test(test_late_block),
                cmocka_unit_test(test_invalid),
                cmocka_unit_test(test_may_run),
                cmocka_unit_test(test_may_run_once_taken),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
