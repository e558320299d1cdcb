/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text in a record, a log line, a dialog: printable ASCII, one field, nothing forged. Input: a value and so on. */
#include "fuzz.h"

#include <string.h>

#include "ssh/text.h"

static void check_printable(const char *text, size_t n, const char *also_refused) {
        for (size_t i = 0; i < n; ++i)
                fuzz_check(text[i] >= 0x20 && text[i] <= 0x7e && !strchr(also_refused, text[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char shown[SSH_SHOWN_SIZE], buffer[1024];
        WireSlice value = { data, n };
        size_t n_shown;
        SshLine line;

        n_shown = strlen(ssh_text_shown(value, shown));
        if (n_shown > SSH_SHOWN_MAX - 2 && strcmp(shown + n_shown - strlen(SSH_TEXT_MORE), SSH_TEXT_MORE) == 0)
                n_shown -= strlen(SSH_TEXT_MORE);
        fuzz_check(n_shown <= SSH_SHOWN_MAX);
        check_printable(shown, n_shown, "");

        ssh_line_init(&line, SSH_LINE_RECORD, buffer, sizeof(buffer));
        ssh_line_bytes(&line, "a", value);
        ssh_line_bytes(&line, "b", value);
        fuzz_check(memcmp(buffer, "a=", 2) == 0 && strchr(buffer, '\n') != strrchr(buffer, '\n'));
        fuzz_check(memcmp(strchr(buffer, '\n'), "\nb=", 3) == 0);
        check_printable(buffer, (size_t)(strchr(buffer, '\n') - buffer), "");
        fuzz_check(strchr(strchr(buffer, '\n') + 1, '\n')[1] == '\0');

        ssh_line_init(&line, SSH_LINE_LOG, buffer, sizeof(buffer));
        ssh_line_bytes(&line, "a", value);
        fuzz_check(memcmp(buffer, "a=", 2) == 0 && strlen(buffer) > 2 && strlen(buffer) <= 2 + SSH_VALUE_MAX);
        check_printable(buffer + 2, strlen(buffer) - 2, " =");

        /* Too small a buffer holds whole fields or none. */
        ssh_line_init(&line, SSH_LINE_LOG, buffer, n % 64 + 1);
        ssh_line_bytes(&line, "a", value);
        fuzz_check(strlen(buffer) <= n % 64 && (buffer[0] == '\0' || buffer[0] == 'a'));
        return 0;
}
