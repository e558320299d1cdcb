/* SPDX-License-Identifier: Apache-2.0 */
/* start-agent AGENT - run an ssh-agent of the vault, with the keys of its folder (split-ssh specification, 3.3) */
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "split-ssh/agent.h"

int main(int argc, char **argv) {
        Account account;
        AgentName agent;
        int r;

        if (fd_ensure_standard() < 0)
                return 1;
        log_open("start-agent", false);
        if (argc != 2 || agent_name_parse(argv[1], &agent)) {
                log_error("usage: start-agent AGENT: a letter or digit, then letters, digits, _ . -, at most %d",
                          AGENT_NAME_MAX);
                return 1;
        }
        r = geteuid() == 0 ? account_default(&account) : account_self(&account);
        if (!r)
                r = agent_run(&agent, &account, -1);
        return r < 0 ? 1 : r;
}
