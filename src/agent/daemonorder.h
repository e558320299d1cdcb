/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon may say on a `vchan` link after its HELLO (protocol specification, 3.10). It is the stream's only
 * framing, so anything else ends the connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/exec.h"
#include "wire/header.h"

enum {
        _DAEMON_ORDER_E_SUCCESS,
        DAEMON_ORDER_E_MALFORMED, /* no type of a daemon's, or a length that is not what its type says */
};

typedef enum DaemonOrderType {
        DAEMON_ORDER_TYPE_EXEC,    /* start a service and dial its caller */
        DAEMON_ORDER_TYPE_CONNECT, /* a local client's call is allowed: where its callee will dial */
        DAEMON_ORDER_TYPE_REFUSE,  /* it is not */
} DaemonOrderType;

typedef struct DaemonOrder {
        DaemonOrderType type;
        ExecParams params; /* EXEC, CONNECT */
        bool just_exec;    /* EXEC: 5.9, start it and do not wait */
        const char *text;  /* EXEC: the command; CONNECT, REFUSE: the ident; NUL-terminated, points into the payload */
} DaemonOrder;

/**
 * daemon_order_check() - may there be such a message? Asked before a byte of the payload is waited for
 *
 * A command is at most EXEC_COMMAND_MAX long: no daemon has more to say (2.5). Return: 0 or DAEMON_ORDER_E_MALFORMED.
 */
int daemon_order_check(WireHeader header);

/**
 * daemon_order_decode() - decode a whole message that daemon_order_check() let through; pure
 * @payload: header.length bytes; the last byte of a command or ident is overwritten with NUL if it is none (3.10)
 */
void daemon_order_decode(WireHeader header, uint8_t *payload, DaemonOrder *ret_order);
