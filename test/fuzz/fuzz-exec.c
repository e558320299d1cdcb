/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/exec.h"
#include "wire/header.h"

/* The payload of EXEC_CMDLINE, JUST_EXEC, SERVICE_CONNECT (with text) or CONNECTION_TERMINATED (without). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t again[WIRE_HEADER_SIZE + WIRE_LINK_PAYLOAD_MAX];
        ExecParams params;
        Exec exec;
        size_t n_again;

        if (exec_params_decode(data, n, &params) == 0) {
                fuzz_check(n == EXEC_PARAMS_SIZE);
                exec_params_encode(&params, again);
                fuzz_check(memcmp(again, data, n) == 0);
        }
        if (exec_decode(data, n, &exec) == 0) {
                fuzz_check(exec.text[exec.n_text] == '\0');
                fuzz_check(exec_encode(WIRE_TYPE_EXEC_CMDLINE, &exec, again, sizeof(again), &n_again) == 0);
                fuzz_check(n_again == WIRE_HEADER_SIZE + n);
                fuzz_check(memcmp(again + WIRE_HEADER_SIZE, data, n) == 0);
        }
        return 0;
}
