/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-session: run one service in a session of its account, for a qrexec-agent(8) that is root. It is no command for
 * people.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "monitor/login.h"

#define EXIT_USAGE 2

int main(int argc, char **argv) {
        LoginOptions options = {};
        int n = 1;

        if (fd_ensure_standard() < 0)
                return LOGIN_EXIT_FAILED;
        log_open("qrexec-session", false);
        if (n < argc && strcmp(argv[n], "--shell") == 0) {
                options.shell = true;
                ++n;
        }
        if (argc - n < 3 || strcmp(argv[n + 1], "--") != 0 || (options.shell && argc - n != 3)) {
                (void)fprintf(stderr, "Usage: qrexec-session ACCOUNT -- PROGRAM [ARGUMENT]\n"
                                      "       qrexec-session --shell ACCOUNT -- COMMAND\n"
                                      "Run it in a session of ACCOUNT (for qrexec-agent(8)).\n");
                return EXIT_USAGE;
        }
        options.account = argv[n];
        options.command = argv + n + 2;
        return login_run(&options);
}
