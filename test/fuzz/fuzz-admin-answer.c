/* SPDX-License-Identifier: Apache-2.0 */
/* Compared with the specification's own words (4.3). */
#include "fuzz.h"

#include <string.h>

#include "vchan/adminanswer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        const char *text = (const char *)data;
        AdminAnswer answer = {};
        int r = admin_answer_decode(text, n, &answer), expect = ADMIN_ANSWER_E_MALFORMED;

        if (n >= 2 && n <= 65534 && memcmp(data, "0", 2) == 0)
                expect = 0;
        else if (n >= 2 && n <= 65534 && memcmp(data, "2", 2) == 0)
                expect = ADMIN_ANSWER_E_EXCEPTION;
        fuzz_check(r == expect);
        if (r == ADMIN_ANSWER_E_MALFORMED)
                return 0;
        fuzz_check(answer.untrusted_text == text + 2 && answer.n_text <= n - 2);
        if (r == 0)
                fuzz_check(answer.n_text == n - 2);
        else
                fuzz_check(!memchr(answer.untrusted_text, '\0', answer.n_text) &&
                           (answer.n_text == n - 2 || text[2 + answer.n_text] == '\0'));
        return 0;
}
