/* SPDX-License-Identifier: Apache-2.0 */
/* What was accepted from a broker is, encoded again, what came. */
#include "fuzz.h"

#include <string.h>

#include "agent/order.h"
#include "base/cleanup.h"
#include "wire/call.h"
#include "wire/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ uint8_t *again = NULL;
        Order order;
        size_t n_again = 0;

        if (order_decode(data, n, &order))
                return 0;
        fuzz_check(n <= ORDER_SIZE_MAX);
        again = malloc(ORDER_SIZE_MAX);
        fuzz_check(again != NULL);

        switch (order.type) {
        case ORDER_TYPE_HELLO: /* its version is not kept */
                fuzz_check(n == WIRE_HEADER_SIZE + 4);
                return 0;
        case ORDER_TYPE_KILL:
                call_kill_encode(order.call_id, again);
                n_again = WIRE_HEADER_SIZE + CALL_KILL_SIZE;
                break;
        case ORDER_TYPE_EXEC: {
                Exec exec = { .params = { order.mode, order.call_id }, .text = order.text };

                /* A command ends at its first NUL; what the sender put behind it nobody reads. */
                exec.n_text = n - WIRE_HEADER_SIZE - EXEC_PARAMS_SIZE - 1;
                fuzz_check(strlen(order.text) <= exec.n_text);
                fuzz_check(exec_encode(order.just_exec ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE, &exec, again,
                                       ORDER_SIZE_MAX, &n_again) == 0);
                break;
        }
        }
        fuzz_check(n_again == n && memcmp(again, data, n) == 0);
        return 0;
}
