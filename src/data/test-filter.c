/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
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

/* A terminal is what the choice by default is about; nothing else is one. */
static void test_applies(void **state) {
        int terminal_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        int fds[2];

        assert_true(terminal_fd >= 0 && null_fd >= 0 && pipe2(fds, O_CLOEXEC) == 0);
        assert_true(data_filter_applies(DATA_FILTER_TERMINAL, terminal_fd));
        assert_false(data_filter_applies(DATA_FILTER_TERMINAL, null_fd));
        assert_false(data_filter_applies(DATA_FILTER_TERMINAL, fds[1]));
        assert_true(data_filter_applies(DATA_FILTER_ON, fds[1]));
        assert_false(data_filter_applies(DATA_FILTER_OFF, terminal_fd));
        fd_close(terminal_fd);
        fd_close(null_fd);
        fd_close(fds[0]);
        fd_close(fds[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_byte),
                cmocka_unit_test(test_applies),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
