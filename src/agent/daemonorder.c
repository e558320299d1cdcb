/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemonorder.h"

#include "wire/refusal.h"

int daemon_order_check(WireHeader header) {
        switch (header.type) {
        case WIRE_TYPE_EXEC_CMDLINE:
        case WIRE_TYPE_JUST_EXEC:
        case WIRE_TYPE_SERVICE_CONNECT:
                if (header.length > EXEC_PARAMS_SIZE && header.length <= EXEC_PARAMS_SIZE + EXEC_COMMAND_MAX)
                        return 0;
                return DAEMON_ORDER_E_MALFORMED;
        case WIRE_TYPE_SERVICE_REFUSED:
                return header.length == IDENT_SIZE ? 0 : DAEMON_ORDER_E_MALFORMED;
        default:
                return DAEMON_ORDER_E_MALFORMED;
        }
}

void daemon_order_decode(WireHeader header, uint8_t *payload, DaemonOrder *ret_order) {
        DaemonOrder order = { .type = DAEMON_ORDER_TYPE_REFUSE };
        size_t n_params = 0;

        if (header.type != WIRE_TYPE_SERVICE_REFUSED) {
                n_params = EXEC_PARAMS_SIZE;
                (void)exec_params_decode(payload, n_params, &order.params);
                order.type =
                        header.type == WIRE_TYPE_SERVICE_CONNECT ? DAEMON_ORDER_TYPE_CONNECT : DAEMON_ORDER_TYPE_EXEC;
                order.just_exec = header.type == WIRE_TYPE_JUST_EXEC;
        }
        payload[header.length - 1] = '\0';
        order.text = (const char *)payload + n_params;
        *ret_order = order;
}
