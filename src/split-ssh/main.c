/* SPDX-License-Identifier: Apache-2.0 */
/* split-ssh: keys that can be used but not taken (split-ssh specification, 3.4). */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "split-ssh/command.h"

static const struct {
        const char *name;
        int n_min; /* words that it needs */
        CommandRun run;
} commands[] = {
        { "add", 1, command_add },       { "forward", 0, command_forward }, { "grants", 0, command_grants },
        { "list", 1, command_list },     { "log", 0, command_log },         { "policy", 2, command_policy },
        { "reload", 1, command_reload }, { "revoke", 0, command_revoke },   { "start", 1, command_start },
};

void command_usage(FILE *stream) {
        (void)fputs("Usage: split-ssh COMMAND …\n"
                    "\n"
                    "In the domain that has the keys:\n"
                    "  start AGENT            run an ssh-agent with the keys of ~/.ssh/identities.d/AGENT\n"
                    "  list AGENT             the keys that the agent has\n"
                    "  add AGENT              load the keys of the folder, again\n"
                    "  add AGENT ARGUMENT ... run ssh-add with these arguments\n"
                    "  reload AGENT           forget all keys, and load those of the folder\n"
                    "  policy SOURCE AGENT    what the filter lets SOURCE do with AGENT\n"
                    "  grants                 what you allowed for a while\n"
                    "  revoke [SOURCE]        ask again: about all, or about SOURCE\n"
                    "  log [ARGUMENT ...]     what was asked for, signed and refused; arguments of journalctl\n"
                    "\n"
                    "In a domain that uses them:\n"
                    "  forward [OPTION ...]   be the agent here; --help says more\n"
                    "\n"
                    "See split-ssh(1).\n",
                    stream);
}

static int run(int argc, char **argv) {
        if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
                command_usage(stdout);
                return 0;
        }
        for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); ++i) {
                if (strcmp(argv[1], commands[i].name) != 0 || argc - 2 < commands[i].n_min)
                        continue;
                /* Those with options are given their own name, as getopt() has it. */
                if (commands[i].n_min == 0 && commands[i].run == command_forward)
                        return commands[i].run(argc - 1, argv + 1);
                return commands[i].run(argc - 2, argv + 2);
        }
        command_usage(stderr);
        return COMMAND_STATUS_FAILED;
}

int main(int argc, char **argv) {
        int status;

        if (fd_ensure_standard() < 0)
                return COMMAND_STATUS_FAILED;
        log_open("split-ssh", false);
        status = run(argc, argv);
        if (status < 0 || fflush(stdout) != 0)
                return COMMAND_STATUS_FAILED;
        return status;
}
