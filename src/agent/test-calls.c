/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void test_life(void **state) {
        uint32_t ids[4];
        Call *call, *other, *third;
        Calls calls;
        int fd;

        calls_init(&calls);
        assert_null(calls_lookup(&calls, 1));
        assert_int_equal(calls_list(&calls, ids), 0);

        assert_int_equal(calls_add(&calls, 7, 1000, &call), 0);
        assert_int_equal(call->state, CALL_STATE_RUNNING);
        assert_ptr_equal(calls_lookup(&calls, 7), call);
        assert_int_equal(calls_add(&calls, 7, 1000, &other), CALLS_E_EXISTS);
        assert_int_equal(calls_add(&calls, 7 + 16, 2000, &other), 0); /* the same bucket */
        assert_int_equal(calls_add(&calls, 0, 2000, &third), 0);      /* an id like any other */
        assert_ptr_equal(calls_lookup(&calls, 7), call);
        assert_ptr_equal(calls_lookup(&calls, 23), other);
        assert_int_equal(calls_list(&calls, ids), 3);

        fd = call->handler_pidfd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        calls_end(&calls, call, CALL_HOW_EXITED, 3, 1500);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(call->ended.id, 7);
        assert_int_equal(call->ended.how, CALL_HOW_EXITED);
        assert_int_equal(call->ended.status, 3);
        assert_int_equal(call->ended.run_usec, 500);
        assert_int_equal(calls_list(&calls, ids), 3);                      /* its end has not been told */
        assert_int_equal(calls_add(&calls, 7, 0, &third), CALLS_E_EXISTS); /* until the broker knows */

        /* told in the order of their ends */
        calls_end(&calls, other, CALL_HOW_KILLED, 137, 2000);
        assert_ptr_equal(calls.ended_first, call);
        calls_remove(&calls, calls.ended_first);
        assert_null(calls_lookup(&calls, 7));
        assert_ptr_equal(calls.ended_first, other);
        calls_remove(&calls, calls.ended_first);
        assert_null(calls.ended_first);
        assert_int_equal(calls.n_calls, 1);
        assert_int_equal(calls_list(&calls, ids), 1);

        /* and the queue works after it was empty */
        calls_end(&calls, third, CALL_HOW_EXITED, 0, 2000);
        assert_ptr_equal(calls.ended_first, third);

        calls_deinit(&calls);
        assert_int_equal(calls.n_calls, 0);
        calls_deinit(&calls);
}

static void test_limit(void **state) {
        uint32_t *ids = calloc(CALL_LIST_MAX, sizeof(*ids));
        uint8_t *seen = calloc(CALL_LIST_MAX, 1);
        Calls calls;
        Call *call;

        calls_init(&calls);
        for (uint32_t id = 0; id < CALL_LIST_MAX; ++id)
                assert_int_equal(calls_add(&calls, id * 3, 0, &call), 0);
        assert_int_equal(calls_add(&calls, UINT32_MAX, 0, &call), CALLS_E_FULL);
        assert_int_equal(calls_add(&calls, 3, 0, &call), CALLS_E_EXISTS);

        assert_int_equal(calls_list(&calls, ids), CALL_LIST_MAX);
        for (size_t i = 0; i < CALL_LIST_MAX; ++i) {
                assert_int_equal(ids[i] % 3, 0);
                assert_int_equal(seen[ids[i] / 3]++, 0);
        }
        for (uint32_t id = 0; id < CALL_LIST_MAX; ++id)
                assert_int_equal(calls_lookup(&calls, id * 3)->id, id * 3);

        calls_remove(&calls, calls_lookup(&calls, 9));
        assert_int_equal(calls_add(&calls, UINT32_MAX, 0, &call), 0);
        calls_deinit(&calls);
        free(ids);
        free(seen);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life),
                cmocka_unit_test(test_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
