/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/adminanswer.h"

#include <string.h>

int admin_answer_decode(const char *untrusted_data, size_t n, AdminAnswer *ret_answer) {
        if (n < 2 || n > ADMIN_ANSWER_MAX || untrusted_data[1] != '\0')
                return ADMIN_ANSWER_E_MALFORMED;
        if (untrusted_data[0] == '0') {
                *ret_answer = (AdminAnswer){ untrusted_data + 2, n - 2 };
                return 0;
        }
        if (untrusted_data[0] != '2')
                return ADMIN_ANSWER_E_MALFORMED;
        *ret_answer = (AdminAnswer){ untrusted_data + 2, strnlen(untrusted_data + 2, n - 2) };
        return ADMIN_ANSWER_E_EXCEPTION;
}
