/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/guest.h"

static void test_words(void **state) {
        static const Guest guest = { .client = "/usr/bin/qrexec-client",
                                     .directory = "/a folder",
                                     .domain = 2147483647 };
        static const char *const expect[] = {
                "qrexec-client",
                "--socket-dir=/a folder",
                "-w120",
                "-d",
                "2147483647",
                "--",
                "user:QUBESRPC -a+ b",
                NULL,
        };
        GuestCommand command;

        assert_int_equal(guest_command_init(&guest, "user:QUBESRPC -a+ b", &command), 0);
        for (size_t i = 0; expect[i]; ++i)
                assert_string_equal(command.argv[i], expect[i]);
        assert_null(command.argv[7]);
        guest_command_deinit(&command);
        guest_command_deinit(&command);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
