/* SPDX-License-Identifier: Apache-2.0 */
/* split-ssh policy, log: what the filter goes by, and what it has said. Each becomes the program that knows. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "split-ssh/command.h"

#define COMMAND_JOURNAL "/usr/bin/journalctl"
/** More words than anybody types. */
#define COMMAND_WORDS_MAX 32

int command_policy(int argc, char **argv) {
        if (argc != 2) {
                command_usage(stderr);
                return COMMAND_STATUS_FAILED;
        }
        (void)execl(SPLIT_SSH_FILTER, "split-ssh-filter", "--check-config", "--source", argv[0], "--agent", argv[1],
                    NULL);
        log_error("cannot execute " SPLIT_SSH_FILTER ": %s", strerror(errno));
        return COMMAND_STATUS_FAILED;
}

int command_log(int argc, char **argv) {
        const char *words[COMMAND_WORDS_MAX + 5] = { "journalctl", "--quiet", "--identifier=split-ssh-filter" };

        if (argc > COMMAND_WORDS_MAX) {
                command_usage(stderr);
                return COMMAND_STATUS_FAILED;
        }
        memcpy(words + 3, argv, (size_t)argc * sizeof(*argv));
        (void)execv(COMMAND_JOURNAL, (char *const *)words);
        log_error("cannot execute " COMMAND_JOURNAL
                  ": %s: without a journal, the lines of split-ssh-filter are in syslog's file of authpriv "
                  "(/var/log/auth.log)",
                  strerror(errno));
        return COMMAND_STATUS_FAILED;
}
