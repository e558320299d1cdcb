/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broker may say on a `local` link, one message a packet (doc/protocol.md): HELLO, EXEC_CMDLINE, JUST_EXEC and
 * CALL_KILL. Anything else means that the other end is no broker of ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/header.h"

/** Largest packet. */
#define ORDER_SIZE_MAX (WIRE_HEADER_SIZE + WIRE_LINK_PAYLOAD_MAX)

enum {
        _ORDER_E_SUCCESS,
        ORDER_E_MALFORMED, /* unknown type, or a payload that is not what its type says */
        ORDER_E_VERSION,   /* HELLO of a broker that is too old */
};

typedef enum OrderType {
        ORDER_TYPE_HELLO,
        ORDER_TYPE_EXEC, /* start a service, wait for it */
        ORDER_TYPE_KILL, /* end a call */
} OrderType;

typedef struct Order {
        OrderType type;
        uint32_t call_id; /* EXEC, KILL */
        uint32_t mode;    /* EXEC: connect_domain, how the data comes (wire/header.h); a domain: dial it, at @port */
        uint32_t port;    /* not on a local link, where all data comes with the order */
        bool just_exec;   /* EXEC: 5.9, start it and do not wait */
        const char *text; /* EXEC: the command, NUL-terminated, points into the packet */
} Order;

/** order_decode() - decode a whole packet; pure. Return: 0 or ORDER_E_… */
int order_decode(const uint8_t *untrusted_data, size_t n, Order *ret_order);
