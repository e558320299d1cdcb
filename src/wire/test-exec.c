/* SPDX-License-Identifier: Apache-2.0 */
/* "fact N" is a line of the protocol specification's Appendix A, vectors are from its Appendix B. */
#include "wire/exec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/header.h"

#define NUL8  "\0\0\0\0\0\0\0\0"
#define IDENT "SOCKET9\0" NUL8 NUL8 NUL8

static void test_exec_decode(void **state) {
        static const struct {
                const char *name, *bytes; /* without header */
                size_t n;
                int expect;
                uint32_t domain, port;
                size_t n_text;
        } cases[] = {
#define CASE(_name, _bytes, ...) { _name, _bytes, sizeof(_bytes) - 1, __VA_ARGS__ }
                CASE("vector EXEC_CMDLINE",
                     "\0\0\0\0\x01\x02\0\0"
                     "user:QUBESRPC my.svc+arg dom1\0",
                     0, 0, 513, 29),
                CASE("vector SERVICE_CONNECT", "\0\0\0\0\x01\x02\0\0" IDENT, 0, 0, 513, 31),
                CASE("an empty text", "\x01\x02\x03\x04\x05\x06\x07\x08\0", 0, 0x04030201, 0x08070605, 0),
                CASE("an inner NUL is let through, fact 57", "\0\0\0\0\0\0\0\0a\0b\0", 0, 0, 0, 3),
                CASE("no final NUL, fact 57", "\0\0\0\0\0\0\0\0a", EXEC_E_MALFORMED),
                CASE("eight bytes, no text, fact 41", "\0\0\0\0\x01\x02\0\0", EXEC_E_MALFORMED),
                CASE("seven bytes", "\0\0\0\0\x01\x02\0", EXEC_E_MALFORMED),
                CASE("empty", "", EXEC_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
                uint8_t again[256];
                Exec exec = { .n_text = 4711 };
                size_t n = 0;
                int r = exec_decode(bytes, cases[i].n, &exec);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r) {
                        assert_int_equal(exec.n_text, 4711);
                        continue;
                }
                assert_int_equal(exec.params.connect_domain, cases[i].domain);
                assert_int_equal(exec.params.connect_port, cases[i].port);
                assert_int_equal(exec.n_text, cases[i].n_text);
                assert_ptr_equal(exec.text, bytes + EXEC_PARAMS_SIZE);

                assert_int_equal(exec_encode(WIRE_TYPE_EXEC_CMDLINE, &exec, again, sizeof(again), &n), 0);
                if (n != WIRE_HEADER_SIZE + cases[i].n || memcmp(again + WIRE_HEADER_SIZE, bytes, cases[i].n) != 0)
                        fail_msg("%s: other bytes when encoded", cases[i].name);
        }
}

/* The whole message of Appendix B, header included. */
static void test_vector_whole(void **state) {
        static const char expect[] = "\x00\x02\0\0\x26\0\0\0\0\0\0\0\x01\x02\0\0user:QUBESRPC my.svc+arg dom1";
        Exec exec = { .params = { 0, 513 }, .text = "user:QUBESRPC my.svc+arg dom1", .n_text = 29 };
        uint8_t data[sizeof(expect)];
        size_t n = 0;

        assert_int_equal(exec_encode(WIRE_TYPE_EXEC_CMDLINE, &exec, data, sizeof(data), &n), 0);
        assert_int_equal(n, sizeof(expect));
        assert_memory_equal(data, expect, n);
        assert_int_equal(exec_encode(WIRE_TYPE_EXEC_CMDLINE, &exec, data, sizeof(data) - 1, &n), -EMSGSIZE);
}

static void test_text_limit(void **state) {
        static uint8_t bytes[EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX + 1];
        Exec exec;

        memset(bytes, 'a', sizeof(bytes));
        bytes[EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX - 1] = 0;
        bytes[EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX] = 0;
        assert_int_equal(exec_decode(bytes, EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX, &exec), 0);
        assert_int_equal(exec.n_text, EXEC_COMMAND_MAX - 1);
        assert_int_equal(EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX, WIRE_LINK_PAYLOAD_MAX);
        assert_int_equal(exec_decode(bytes, sizeof(bytes), &exec), EXEC_E_MALFORMED);
}

static void test_exec_params(void **state) {
        static const struct {
                const char *name, *bytes;
                ExecParams params;
        } cases[] = {
                { "vector answer of daemon 42", "\x2a\0\0\0\x01\x02\0\0", { 42, 513 } },
                { "vector CONNECTION_TERMINATED", "\x2b\0\0\0\x02\x02\0\0", { 43, 514 } },
                { "framed, call 7", "\x01\0\xff\x7f\x07\0\0\0", { WIRE_DOMAIN_FRAMED, 7 } },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t again[EXEC_PARAMS_SIZE];
                ExecParams params;

                assert_int_equal(exec_params_decode((const uint8_t *)cases[i].bytes, EXEC_PARAMS_SIZE, &params), 0);
                if (params.connect_domain != cases[i].params.connect_domain ||
                    params.connect_port != cases[i].params.connect_port)
                        fail_msg("%s: got %u, %u", cases[i].name, params.connect_domain, params.connect_port);
                exec_params_encode(&params, again);
                assert_memory_equal(again, cases[i].bytes, sizeof(again));
        }
}

static void test_exec_params_size(void **state) {
        static const uint8_t bytes[EXEC_PARAMS_SIZE + 1];
        ExecParams params = { 1, 2 };

        for (size_t n = 0; n < EXEC_PARAMS_SIZE; ++n)
                assert_int_equal(exec_params_decode(bytes, n, &params), EXEC_E_MALFORMED);
        assert_int_equal(exec_params_decode(bytes, EXEC_PARAMS_SIZE + 1, &params), EXEC_E_MALFORMED);
        assert_int_equal(params.connect_domain, 1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exec_decode),      cmocka_unit_test(test_vector_whole),
                cmocka_unit_test(test_text_limit),       cmocka_unit_test(test_exec_params),
                cmocka_unit_test(test_exec_params_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
