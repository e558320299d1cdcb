/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <cmocka.h>
#include <string.h>

#include "data/filter.h"

/* 5.12, for every byte there is: the five controls and 0x20 to 0x7e stay. */
static void test_every_byte(void **state) {
        for (int byte = 0; byte < 256; ++byte) {
                bool stays = (byte >= 0x20 && byte < 0x7f) || (byte != 0 && strchr("\t\n\r\b\a", byte));
                uint8_t data[3] = { 'a', (uint8_t)byte, 'z' };

                data_filter(data, sizeof(data));
                if (data[0] != 'a' || data[1] != (stays ? byte : '_') || data[2] != 'z')
                        fail_msg("byte 0x%02x became 0x%02x", (unsigned)byte, (unsigned)data[1]);
        }
        data_filter(NULL, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_byte),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
