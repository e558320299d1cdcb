/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/exec.h"

static void test_decode(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                int expect;
                OrderType type;
                uint32_t call_id, mode;
                bool just_exec;
                const char *text;
        } cases[] = {
#define HEADER(_type, _length)   _type "\0\0" _length "\0\0\0"
#define CASE(_name, _input, ...) { _name, _input, sizeof(_input) - 1, __VA_ARGS__ }
                CASE("HELLO", HEADER("\x00\x03", "\x04") "\x04\0\0\0", 0, ORDER_TYPE_HELLO),
                CASE("HELLO of a later version", HEADER("\x00\x03", "\x04") "\x09\0\0\0", 0, ORDER_TYPE_HELLO),
                CASE("HELLO of version 1", HEADER("\x00\x03", "\x04") "\x01\0\0\0", ORDER_E_VERSION),
                CASE("10: HELLO of 8 bytes", HEADER("\x00\x03", "\x08") "\x04\0\0\0\0\0\0\0", ORDER_E_MALFORMED),
                CASE("EXEC_CMDLINE, framed",
                     HEADER("\x00\x02", "\x0c") "\x01\0\xff\x7f"
                                                "\x07\0\0\0"
                                                "u:x\0",
                     0, ORDER_TYPE_EXEC, 7, WIRE_DOMAIN_FRAMED, false, "u:x"),
                CASE("JUST_EXEC, direct",
                     HEADER("\x01\x02", "\x0c") "\x03\0\xff\x7f"
                                                "\x08\0\0\0"
                                                "u:x\0",
                     0, ORDER_TYPE_EXEC, 8, WIRE_DOMAIN_DIRECT, true, "u:x"),
                CASE("EXEC_CMDLINE, a command of nothing",
                     HEADER("\x00\x02", "\x09") "\x01\0\xff\x7f"
                                                "\x07\0\0\0"
                                                "\0",
                     0, ORDER_TYPE_EXEC, 7, WIRE_DOMAIN_FRAMED, false, ""),
                CASE("41: EXEC_CMDLINE without a command",
                     HEADER("\x00\x02", "\x08") "\x01\0\xff\x7f"
                                                "\x07\0\0\0",
                     ORDER_E_MALFORMED),
                CASE("EXEC_CMDLINE, no NUL at the end",
                     HEADER("\x00\x02", "\x0b") "\x01\0\xff\x7f"
                                                "\x07\0\0\0"
                                                "u:x",
                     ORDER_E_MALFORMED),
                CASE("CALL_KILL", HEADER("\x01\x04", "\x04") "\x2a\0\0\0", 0, ORDER_TYPE_KILL, 42),
                CASE("CALL_KILL, short", HEADER("\x01\x04", "\x03") "\x2a\0\0", ORDER_E_MALFORMED),
                CASE("CALL_KILL, long", HEADER("\x01\x04", "\x05") "\x2a\0\0\0\0", ORDER_E_MALFORMED),
                CASE("CALL_ENDED is for us to say", HEADER("\x00\x04", "\x04") "\x2a\0\0\0", ORDER_E_MALFORMED),
                CASE("SERVICE_CONNECT: local links have none", HEADER("\x02\x02", "\x09") "\0\0\0\0\0\0\0\0\0",
                     ORDER_E_MALFORMED),
                CASE("a type that nobody knows", HEADER("\xff\xff", "\x00"), ORDER_E_MALFORMED),
                CASE("nothing", "", ORDER_E_MALFORMED),
                CASE("half a header", "\x00\x03\0\0\x04\0\0", ORDER_E_MALFORMED),
                CASE("a length beyond the packet", HEADER("\x00\x03", "\x05") "\x04\0\0\0", ORDER_E_MALFORMED),
                CASE("a length short of the packet", HEADER("\x00\x03", "\x04") "\x04\0\0\0\0", ORDER_E_MALFORMED),
#undef CASE
#undef HEADER
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Order order = {};
                int r = order_decode((const uint8_t *)cases[i].input, cases[i].n_input, &order);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r)
                        continue;
                if (order.type != cases[i].type || order.call_id != cases[i].call_id || order.mode != cases[i].mode ||
                    order.just_exec != cases[i].just_exec)
                        fail_msg("%s: decoded to something else", cases[i].name);
                if (cases[i].text && strcmp(order.text, cases[i].text) != 0)
                        fail_msg("%s: the command is \"%s\"", cases[i].name, order.text);
        }
}

static void test_longest(void **state) {
        uint8_t *packet = malloc(ORDER_SIZE_MAX + 1);
        char *text = malloc(EXEC_COMMAND_MAX + 1);

        for (int extra = 0; extra <= 1; ++extra) {
                Exec exec = { .params = { WIRE_DOMAIN_FRAMED, 1 },
                              .text = text,
                              .n_text = EXEC_COMMAND_MAX - 1 + (size_t)extra };
                Order order;
                size_t n;

                memset(text, 'a', exec.n_text);
                text[exec.n_text] = '\0';
                assert_int_equal(exec_encode(WIRE_TYPE_EXEC_CMDLINE, &exec, packet, ORDER_SIZE_MAX + 1, &n), 0);
                assert_int_equal(n, ORDER_SIZE_MAX + (size_t)extra);
                assert_int_equal(order_decode(packet, n, &order), extra ? ORDER_E_MALFORMED : 0);
                if (!extra)
                        assert_string_equal(order.text, text);
        }
        free(text);
        free(packet);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
