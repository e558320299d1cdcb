/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/order.h"

#include "wire/call.h"
#include "wire/exec.h"
#include "wire/hello.h"

static int order_decode_hello(const uint8_t *untrusted_payload, size_t n, Order *order) {
        Hello hello;
        int r;

        r = hello_decode(untrusted_payload, n, WIRE_VERSION_MIN, &hello);
        if (r)
                return r == HELLO_E_VERSION ? ORDER_E_VERSION : ORDER_E_MALFORMED;
        order->type = ORDER_TYPE_HELLO;
        return 0;
}

static int order_decode_exec(const uint8_t *untrusted_payload, size_t n, bool just_exec, Order *order) {
        Exec exec;

        if (exec_decode(untrusted_payload, n, &exec))
                return ORDER_E_MALFORMED;
        order->type = ORDER_TYPE_EXEC;
        order->call_id = exec.params.connect_port;
        order->mode = exec.params.connect_domain;
        order->just_exec = just_exec;
        order->text = exec.text;
        return 0;
}

static int order_decode_kill(const uint8_t *untrusted_payload, size_t n, Order *order) {
        if (call_kill_decode(untrusted_payload, n, &order->call_id))
                return ORDER_E_MALFORMED;
        order->type = ORDER_TYPE_KILL;
        return 0;
}

int order_decode(const uint8_t *untrusted_data, size_t n, Order *ret_order) {
        const uint8_t *untrusted_payload = untrusted_data + WIRE_HEADER_SIZE;
        WireHeader header;
        Order order = {};
        int r;

        if (wire_header_decode(untrusted_data, n, &header) || header.length != n - WIRE_HEADER_SIZE)
                return ORDER_E_MALFORMED;

        switch (header.type) {
        case WIRE_TYPE_HELLO:
                r = order_decode_hello(untrusted_payload, header.length, &order);
                break;
        case WIRE_TYPE_EXEC_CMDLINE:
        case WIRE_TYPE_JUST_EXEC:
                r = order_decode_exec(untrusted_payload, header.length, header.type == WIRE_TYPE_JUST_EXEC, &order);
                break;
        case WIRE_TYPE_CALL_KILL:
                r = order_decode_kill(untrusted_payload, header.length, &order);
                break;
        default:
                return ORDER_E_MALFORMED;
        }
        if (r)
                return r;
        *ret_order = order;
        return 0;
}
