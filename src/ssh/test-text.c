/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "ssh/codec.h"

static void test_shown(void **state) {
        static const char sixty_four[] = "0123456789012345678901234567890123456789012345678901234567890123";
        char buffer[SSH_SHOWN_SIZE], longer[128];

        assert_string_equal(ssh_text_shown(SLICE_OF("plain text"), buffer), "plain text");
        assert_string_equal(ssh_text_shown(SLICE_OF("100%\x1b[31m\n\xc3\xa9"), buffer), "100%25%1B[31m%0A%C3%A9");
        assert_string_equal(ssh_text_shown(SLICE_OF("<b>&\"'"), buffer), "<b>&\"'");
        assert_string_equal(ssh_text_shown(SLICE_OF(sixty_four), buffer), sixty_four);
        (void)strcat(strcpy(longer, sixty_four), "4");
        assert_memory_equal(ssh_text_shown(SLICE_OF(longer), buffer), sixty_four, 64);
        assert_string_equal(buffer + 64, SSH_TEXT_MORE);
        /* An escape is whole or not there. */
        (void)strcpy(longer, sixty_four);
        longer[62] = '\n';
        assert_string_equal(ssh_text_shown(SLICE_OF(longer), buffer) + 60, "01" SSH_TEXT_MORE);
}

static void test_log_line(void **state) {
        char buffer[64];
        SshLine line;

        ssh_line_init(&line, SSH_LINE_LOG, buffer, sizeof(buffer));
        ssh_line_text(&line, "ev", "sign");
        ssh_line_text(&line, "user", "a b=c\n");
        ssh_line_text(&line, "host", "");
        ssh_line_number(&line, "ms", 42);
        assert_string_equal(buffer, "ev=sign user=a%20b%3Dc%0A host=- ms=42");
        /* What does not fit is not there at all. */
        ssh_line_text(&line, "much", "012345678901234567890123456789");
        ssh_line_text(&line, "x", "y");
        assert_string_equal(buffer, "ev=sign user=a%20b%3Dc%0A host=- ms=42 x=y");
}

static void test_record(void **state) {
        char buffer[1024], value[300];
        SshLine line;

        ssh_line_init(&line, SSH_LINE_RECORD, buffer, sizeof(buffer));
        ssh_line_text(&line, "v", "1");
        ssh_line_bytes(&line, "user", (WireSlice){ (const uint8_t *)"a b=c\0\n", 7 });
        ssh_line_text(&line, "host", "");
        assert_string_equal(buffer, "v=1\nuser=a b=c%00%0A\nhost=\n");

        memset(value, 'x', sizeof(value));
        ssh_line_init(&line, SSH_LINE_RECORD, buffer, sizeof(buffer));
        ssh_line_bytes(&line, "long", (WireSlice){ (const uint8_t *)value, sizeof(value) });
        assert_int_equal(strlen(buffer), strlen("long=\n") + SSH_VALUE_MAX);
}

/* At each size of the buffer: never beyond it. */
static void test_small_buffers(void **state) {
        for (size_t n = 1; n < 24; ++n) {
                char buffer[32];
                SshLine line;

                memset(buffer, '!', sizeof(buffer));
                ssh_line_init(&line, SSH_LINE_LOG, buffer, n);
                ssh_line_text(&line, "name", "value");
                ssh_line_text(&line, "n", "v");
                assert_true(strlen(buffer) < n);
                assert_int_equal(buffer[n], '!');
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shown),
                cmocka_unit_test(test_log_line),
                cmocka_unit_test(test_record),
                cmocka_unit_test(test_small_buffers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
