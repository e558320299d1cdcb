/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

int number_parse(const char *text, size_t n, uint64_t min, uint64_t max, uint64_t *ret_value) {
        uint64_t value = 0;

        if (n == 0 || (n > 1 && text[0] == '0'))
                return NUMBER_E_MALFORMED;
        for (size_t i = 0; i < n; ++i)
                if (text[i] < '0' || text[i] > '9')
                        return NUMBER_E_MALFORMED;
        for (size_t i = 0; i < n; ++i)
                if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
                        return NUMBER_E_RANGE;
        if (value < min || value > max)
                return NUMBER_E_RANGE;

        *ret_value = value;
        return 0;
}
