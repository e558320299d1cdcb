/* SPDX-License-Identifier: Apache-2.0 */
/* What was accepted from a daemon stays within its bytes, and is what they say. */
#include "fuzz.h"

#include <string.h>

#include "agent/daemonorder.h"
#include "base/cleanup.h"
#include "wire/refusal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ uint8_t *payload = NULL;
        uint8_t params[EXEC_PARAMS_SIZE];
        WireHeader header;
        DaemonOrder order;
        size_t n_before;

        if (wire_header_decode(data, n, &header) || daemon_order_check(header) || n - WIRE_HEADER_SIZE < header.length)
                return 0;
        payload = malloc(header.length);
        fuzz_check(payload != NULL);
        memcpy(payload, data + WIRE_HEADER_SIZE, header.length);
        daemon_order_decode(header, payload, &order);

        /* Nothing but the last byte was changed, and only to end the text. */
        fuzz_check(memcmp(payload, data + WIRE_HEADER_SIZE, header.length - 1) == 0);
        fuzz_check(payload[header.length - 1] == '\0');
        n_before = (size_t)((const uint8_t *)order.text - payload);
        fuzz_check(strlen(order.text) < header.length - n_before);
        if (order.type == DAEMON_ORDER_TYPE_REFUSE) {
                fuzz_check(header.type == WIRE_TYPE_SERVICE_REFUSED && n_before == 0);
                return 0;
        }
        fuzz_check(n_before == EXEC_PARAMS_SIZE);
        exec_params_encode(&order.params, params);
        fuzz_check(memcmp(params, payload, sizeof(params)) == 0);
        fuzz_check((order.type == DAEMON_ORDER_TYPE_CONNECT) == (header.type == WIRE_TYPE_SERVICE_CONNECT));
        fuzz_check(order.just_exec == (header.type == WIRE_TYPE_JUST_EXEC));
        return 0;
}
