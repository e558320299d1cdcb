/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/header.h"

static void test_ended(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                int expect;
                CallEnded ended;
        } cases[] = {
#define CASE(_name, _bytes, ...) { _name, _bytes, sizeof(_bytes) - 1, __VA_ARGS__ }
                CASE("exited",
                     "\x07\0\0\0"
                     "\0\0\0\0"
                     "\x2a\0\0\0"
                     "\x40\x42\x0f\0\0\0\0\0",
                     0, { 7, CALL_HOW_EXITED, 42, 1000000 }),
                CASE("the last way, the largest status and time",
                     "\xff\xff\xff\xff"
                     "\x06\0\0\0"
                     "\xff\0\0\0"
                     "\xff\xff\xff\xff\xff\xff\xff\xff",
                     0, { UINT32_MAX, CALL_HOW_ABANDONED, 255, UINT64_MAX }),
                CASE("an unknown way",
                     "\x07\0\0\0"
                     "\x07\0\0\0"
                     "\0\0\0\0"
                     "\0\0\0\0\0\0\0\0",
                     CALL_E_MALFORMED),
                CASE("status 256",
                     "\x07\0\0\0"
                     "\0\0\0\0"
                     "\0\x01\0\0"
                     "\0\0\0\0\0\0\0\0",
                     CALL_E_MALFORMED),
                CASE("status -1",
                     "\x07\0\0\0"
                     "\0\0\0\0"
                     "\xff\xff\xff\xff"
                     "\0\0\0\0\0\0\0\0",
                     CALL_E_MALFORMED),
                CASE("a byte short",
                     "\x07\0\0\0"
                     "\0\0\0\0"
                     "\0\0\0\0"
                     "\0\0\0\0\0\0\0",
                     CALL_E_MALFORMED),
                CASE("a byte left over",
                     "\x07\0\0\0"
                     "\0\0\0\0"
                     "\0\0\0\0"
                     "\0\0\0\0\0\0\0\0\0",
                     CALL_E_MALFORMED),
                CASE("empty", "", CALL_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                CallEnded ended = { .id = 4711 };
                uint8_t again[8 + CALL_ENDED_SIZE];
                WireHeader header;
                int r = call_ended_decode((const uint8_t *)cases[i].bytes, cases[i].n, &ended);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r) {
                        assert_int_equal(ended.id, 4711);
                        continue;
                }
                assert_true(ended.id == cases[i].ended.id && ended.how == cases[i].ended.how &&
                            ended.status == cases[i].ended.status && ended.run_usec == cases[i].ended.run_usec);
                call_ended_encode(&ended, again);
                assert_memory_equal(again + 8, cases[i].bytes, CALL_ENDED_SIZE);
                assert_int_equal(wire_header_decode(again, sizeof(again), &header), 0);
                assert_int_equal(header.type, WIRE_TYPE_CALL_ENDED);
                assert_int_equal(header.length, CALL_ENDED_SIZE);
        }
}

static void test_kill(void **state) {
        static const uint8_t expect[] = { 0x01, 0x04, 0, 0, 4, 0, 0, 0, 7, 0, 1, 0 };
        uint8_t data[8 + CALL_KILL_SIZE];
        uint32_t id = 4711;

        call_kill_encode(65543, data);
        assert_memory_equal(data, expect, sizeof(expect));
        assert_int_equal(call_kill_decode(expect + 8, 3, &id), CALL_E_MALFORMED);
        assert_int_equal(call_kill_decode(expect + 7, 5, &id), CALL_E_MALFORMED);
        assert_int_equal(id, 4711);
        assert_int_equal(call_kill_decode(expect + 8, 4, &id), 0);
        assert_int_equal(id, 65543);
}

static void test_list(void **state) {
        static const size_t sizes[] = { 0, 1, 2, CALL_LIST_MAX };
        static uint32_t ids[CALL_LIST_MAX + 1], again[CALL_LIST_MAX];
        static uint8_t data[WIRE_HEADER_SIZE + 4 * (CALL_LIST_MAX + 1)];

        for (uint32_t i = 0; i < ARRAY_SIZE(ids); ++i)
                ids[i] = UINT32_C(0x01020304) * i;
        for (size_t i = 0; i < ARRAY_SIZE(sizes); ++i) {
                WireHeader header;
                size_t n = 0, n_ids = 4711;

                assert_int_equal(call_list_encode(ids, sizes[i], data, sizeof(data), &n), 0);
                assert_int_equal(n, WIRE_HEADER_SIZE + 4 * sizes[i]);
                assert_int_equal(wire_header_decode(data, n, &header), 0);
                assert_int_equal(header.type, WIRE_TYPE_CALL_LIST);
                assert_int_equal(header.length, 4 * sizes[i]);
                assert_true(header.length <= WIRE_LINK_PAYLOAD_MAX);
                assert_int_equal(call_list_decode(data + WIRE_HEADER_SIZE, header.length, again, &n_ids), 0);
                assert_int_equal(n_ids, sizes[i]);
                assert_memory_equal(again, ids, sizes[i] * sizeof(*ids));
        }
}

static void test_list_limits(void **state) {
        static uint32_t ids[CALL_LIST_MAX + 1];
        static uint8_t data[WIRE_HEADER_SIZE + 4 * (CALL_LIST_MAX + 1)];
        size_t n = 4711;

        assert_int_equal(call_list_decode(data, 4 * (CALL_LIST_MAX + 1), ids, &n), CALL_E_MALFORMED);
        assert_int_equal(call_list_decode(data, 3, ids, &n), CALL_E_MALFORMED);
        assert_int_equal(call_list_decode(data, 4 * CALL_LIST_MAX + 1, ids, &n), CALL_E_MALFORMED);
        assert_int_equal(n, 4711);

        assert_int_equal(call_list_encode(ids, 2, data, 16, &n), 0);
        assert_int_equal(call_list_encode(ids, 2, data, 15, &n), -EMSGSIZE);
        /* What no decoder takes is not made, however large the buffer. */
        assert_int_equal(call_list_encode(ids, CALL_LIST_MAX + 1, data, sizeof(data), &n), -EMSGSIZE);
}

static void test_how_text(void **state) {
        for (int i = 0; i <= _CALL_HOW_N; ++i)
                for (int j = 0; j < i; ++j)
                        assert_string_not_equal(call_how_text((CallHow)i), call_how_text((CallHow)j));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ended),       cmocka_unit_test(test_kill),     cmocka_unit_test(test_list),
                cmocka_unit_test(test_list_limits), cmocka_unit_test(test_how_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
