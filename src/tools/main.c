/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "tools/command.h"

static const Command commands[] = {
        { "domain", "VERB [OPTION ...]", "the domains of this host", command_domain },
        { "policy", "explain|test|lint|diff", "what the rules say", command_policy },
        { "relay", "add|authorize", "other hosts", command_relay },
        { "status", "[--timing]", "the broker, and where time goes", command_status },
        { "calls", "", "the calls that are open", command_calls },
        { "kill", "ID ...", "end calls", command_kill },
        { "grants", "[revoke all|ID ...]", "what people allowed for a while", command_grants },
        { "prompts", "[DOMAIN]", "answer here what a person is asked", command_prompts },
        { "log", "[OPTION ...]", "who called what, and how it ended", command_log },
        { "doctor", "", "what is wrong here, and what mends it", command_doctor },
        {},
};

static int help(void) {
        printf("Usage: qair COMMAND …\n"
               "\n"
               "Administer Qair: which security domains this host has, and what they may call.\n"
               "\n");
        command_list(commands);
        printf("\n"
               "  --user     first of all: for your own sandboxes, not those of the host\n"
               "  --help     this text; after a command: what it takes\n"
               "  --version  the version\n"
               "\n"
               "See qair(1).\n");
        return COMMAND_STATUS_DONE;
}

static int run_command(int argc, char **argv) {
        const Command *command;

        if (argc < 2) {
                command_complain("what shall be done? 'qair --help' lists the commands");
                return COMMAND_STATUS_USAGE;
        }
        command = command_find(commands, argv[1]);
        if (!command) {
                command_complain_unknown(commands, "qair", argv[1]);
                return COMMAND_STATUS_USAGE;
        }
        return command->run(argc - 1, argv + 1);
}

static int run(int argc, char **argv) {
        if (argc < 2)
                return run_command(argc, argv);
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
                return help();
        if (strcmp(argv[1], "--version") == 0) {
                printf("qair %s\n", QAIR_VERSION);
                return COMMAND_STATUS_DONE;
        }
        if (strcmp(argv[1], "--user") == 0) {
                int r = command_set_user();

                if (r) {
                        command_complain("--user: %s", paths_error_text(r));
                        return COMMAND_STATUS_FAILED;
                }
                return run_command(argc - 1, argv + 1);
        }
        return run_command(argc, argv);
}
int main(int argc, char **argv) {
        int status;

        log_open("qair", false);
        if (fd_ensure_standard() < 0)
                return COMMAND_STATUS_FAILED;
        status = run(argc, argv);
        if (status < 0) {
                command_complain("failed: %s", strerror(-status));
                return COMMAND_STATUS_FAILED;
        }
        /* What could not be written was not done: a full disk behind `qair domain list > FILE`. */
        if (fflush(stdout) != 0 || ferror(stdout)) {
                command_complain("standard output cannot be written");
                return COMMAND_STATUS_FAILED;
        }
        return status;
}
