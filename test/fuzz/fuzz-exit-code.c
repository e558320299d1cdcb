/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        int32_t status = data_exit_code_decode(data, n);
        uint8_t again[DATA_EXIT_CODE_SIZE];

        fuzz_check(status >= 0 && status <= 255);
        if (n < DATA_EXIT_CODE_SIZE)
                fuzz_check(status == 255);
        data_exit_code_encode(status, again);
        fuzz_check(data_exit_code_decode(again, sizeof(again)) == status);
        if (status != 255)
                fuzz_check(memcmp(again, data, sizeof(again)) == 0);
        return 0;
}
