/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemonorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_check(void **state) {
        static const struct {
                const char *name;
                WireHeader header;
                int expect;
        } cases[] = {
                { "A41: a command of no byte", { WIRE_TYPE_EXEC_CMDLINE, 8 }, DAEMON_ORDER_E_MALFORMED },
                { "shortest command", { WIRE_TYPE_EXEC_CMDLINE, 9 }, 0 },
                { "longest command", { WIRE_TYPE_EXEC_CMDLINE, 65543 }, 0 },
                { "a longer one", { WIRE_TYPE_EXEC_CMDLINE, 65544 }, DAEMON_ORDER_E_MALFORMED },
                { "largest length", { WIRE_TYPE_JUST_EXEC, UINT32_MAX }, DAEMON_ORDER_E_MALFORMED },
                { "JUST_EXEC", { WIRE_TYPE_JUST_EXEC, 9 }, 0 },
                { "JUST_EXEC of no byte", { WIRE_TYPE_JUST_EXEC, 8 }, DAEMON_ORDER_E_MALFORMED },
                { "shortest ident", { WIRE_TYPE_SERVICE_CONNECT, 9 }, 0 },
                { "a worker's ident", { WIRE_TYPE_SERVICE_CONNECT, 40 }, 0 },
                { "no ident", { WIRE_TYPE_SERVICE_CONNECT, 8 }, DAEMON_ORDER_E_MALFORMED },
                { "A42: a short refusal", { WIRE_TYPE_SERVICE_REFUSED, 31 }, DAEMON_ORDER_E_MALFORMED },
                { "a refusal", { WIRE_TYPE_SERVICE_REFUSED, 32 }, 0 },
                { "a long refusal", { WIRE_TYPE_SERVICE_REFUSED, 33 }, DAEMON_ORDER_E_MALFORMED },
                { "a second HELLO", { WIRE_TYPE_HELLO, 4 }, DAEMON_ORDER_E_MALFORMED },
                { "an agent's message", { WIRE_TYPE_CONNECTION_TERMINATED, 8 }, DAEMON_ORDER_E_MALFORMED },
                { "a local link's message", { WIRE_TYPE_CALL_KILL, 4 }, DAEMON_ORDER_E_MALFORMED },
                { "no type", { 0, 0 }, DAEMON_ORDER_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int r = daemon_order_check(cases[i].header);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
        }
}

static void test_decode(void **state) {
        static const struct {
                const char *name;
                uint32_t type;
                const char *payload;
                size_t n;
                DaemonOrderType expect_type;
                bool expect_just_exec;
                uint32_t expect_domain, expect_port;
                const char *expect_text;
        } cases[] = {
#define CASE(_name, _type, _payload, ...) { _name, WIRE_TYPE_##_type, _payload, sizeof(_payload) - 1, __VA_ARGS__ }
                CASE("appendix B", EXEC_CMDLINE, "\0\0\0\0\x01\x02\0\0user:QUBESRPC my.svc+arg dom1\0",
                     DAEMON_ORDER_TYPE_EXEC, false, 0, 513, "user:QUBESRPC my.svc+arg dom1"),
                CASE("JUST_EXEC", JUST_EXEC, "\x2b\0\0\0\x00\x04\0\0u:x\0", DAEMON_ORDER_TYPE_EXEC, true, 43, 1024,
                     "u:x"),
                CASE("A40: no NUL", EXEC_CMDLINE, "\0\0\0\0\x01\x02\0\0u:echo!", DAEMON_ORDER_TYPE_EXEC, false, 0, 513,
                     "u:echo"),
                CASE("one byte that is no NUL", EXEC_CMDLINE, "\0\0\0\0\x01\x02\0\0x", DAEMON_ORDER_TYPE_EXEC, false, 0,
                     513, ""),
                CASE("appendix B, connect", SERVICE_CONNECT,
                     "\0\0\0\0\x01\x02\0\0SOCKET9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                     DAEMON_ORDER_TYPE_CONNECT, false, 0, 513, "SOCKET9"),
                CASE("appendix B, refused", SERVICE_REFUSED,
                     "SOCKET9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", DAEMON_ORDER_TYPE_REFUSE, false, 0, 0,
                     "SOCKET9"),
                CASE("an ident of 32 bytes", SERVICE_REFUSED, "01234567890123456789012345678901",
                     DAEMON_ORDER_TYPE_REFUSE, false, 0, 0, "0123456789012345678901234567890"),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                WireHeader header = { .type = cases[i].type, .length = (uint32_t)cases[i].n };
                uint8_t payload[64];
                DaemonOrder order;

                memcpy(payload, cases[i].payload, cases[i].n);
                if (daemon_order_check(header))
                        fail_msg("%s: not let through", cases[i].name);
                daemon_order_decode(header, payload, &order);
                if (order.type != cases[i].expect_type || order.just_exec != cases[i].expect_just_exec ||
                    order.params.connect_domain != cases[i].expect_domain ||
                    order.params.connect_port != cases[i].expect_port || strcmp(order.text, cases[i].expect_text) != 0)
                        fail_msg("%s: type %d, domain %u, port %u, \"%s\"", cases[i].name, order.type,
                                 order.params.connect_domain, order.params.connect_port, order.text);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_check),
                cmocka_unit_test(test_decode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
