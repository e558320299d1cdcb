/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split-ssh-prompt confirm|notify - ask the person who has the keys, or tell (split-ssh specification, 10.2)
 *
 * The filter starts it, with a record on standard input. Its status is the answer: 0 yes, 1 no, anything else: nobody
 * could be asked, which is a no.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "split-ssh/prompt.h"

int main(int argc, char **argv) {
        _cleanup_(record_deinit) Record record = {};
        _cleanup_free_ char *text = NULL;
        bool confirm;
        size_t n;

        if (fd_ensure_standard() < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return PROMPT_FAILED;
        log_open("split-ssh-prompt", false);
        confirm = argc == 2 && strcmp(argv[1], "confirm") == 0;
        if (!confirm && !(argc == 2 && strcmp(argv[1], "notify") == 0)) {
                log_error("usage: split-ssh-prompt confirm|notify, with a record on standard input");
                return PROMPT_FAILED;
        }
        if (fd_read_all(STDIN_FILENO, RECORD_MAX, &text, &n) || record_parse(text, n, &record)) {
                log_error("standard input is no record");
                return PROMPT_FAILED;
        }
        return confirm ? prompt_confirm(&record) : prompt_notify(&record);
}
