/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start-forwarder AGENT - let programs here use the agent AGENT of the vault, at ~/.split-ssh/AGENT.sock (split-ssh
 * specification, 3.5)
 */
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "split-ssh/account.h"
#include "ssh-forward/forward.h"
#include "ssh-forward/listener.h"
#include "ssh/places.h"

/* The socket of the service manager, or one of our own. Return: 0 or a positive or negative error; it has been said */
static int listen_for(const Account *account, const AgentName *agent, int *ret_fd) {
        char path[SOCKET_PATH_MAX];
        int r;

        r = listener_take(ret_fd);
        if (r || *ret_fd >= 0)
                return r;
        if (places_forwarded_agent(account->home, agent, path)) {
                log_error("%s", places_error_text(PLACES_E_LENGTH));
                return PLACES_E_LENGTH;
        }
        return listener_open(path, ret_fd);
}

static int run(const AgentName *agent) {
        _cleanup_fd_ int fd = -1;
        char service[sizeof("qubes.SshAgent+") + AGENT_NAME_MAX];
        Account account;
        VaultName vault;
        int r;

        r = geteuid() == 0 ? account_default(&account) : account_self(&account);
        if (!r && geteuid() == 0)
                r = account_become(&account);
        if (r)
                return r;
        r = places_vault(true, &vault);
        if (r && r != PLACES_E_INVALID)
                log_error("%s", places_error_text(r));
        if (!r)
                r = listen_for(&account, agent, &fd);
        if (r)
                return r;
        (void)snprintf(service, sizeof(service), "qubes.SshAgent+%s", agent->text);
        return forward_run(fd, vault.text, service);
}

int main(int argc, char **argv) {
        AgentName agent;

        if (fd_ensure_standard() < 0)
                return 1;
        log_open("start-forwarder", false);
        if (argc != 2 || agent_name_parse(argv[1], &agent)) {
                log_error("usage: start-forwarder AGENT: a letter or digit, then letters, digits, _ . -, at most %d",
                          AGENT_NAME_MAX);
                return 1;
        }
        return run(&agent) ? 1 : 0;
}
