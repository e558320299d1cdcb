/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char again[ANSWER_MAX + 1];
        Answer answer;

        if (answer_decode((const char *)data, n, &answer))
                return 0;
        fuzz_check(answer.allow == (answer.n_target > 0));
        fuzz_check(answer.sec <= ANSWER_SEC_MAX);
        fuzz_check(answer_encode(&answer, again) == n && memcmp(again, data, n) == 0);
        return 0;
}
