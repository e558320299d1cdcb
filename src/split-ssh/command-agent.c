/* SPDX-License-Identifier: Apache-2.0 */
/* split-ssh list, add, reload: in the vault, by who has the keys (split-ssh specification, 3.4). */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/log.h"
#include "split-ssh/account.h"
#include "split-ssh/command.h"
#include "split-ssh/keys.h"
#include "ssh-forward/places.h"

/* Where the agent is. Return: 0 or COMMAND_STATUS_FAILED */
static int command_find_agent(const char *untrusted_name, AgentName *ret_agent,
                              char ret_socket[static PLACES_SOCKET_MAX]) {
        struct stat st;

        if (agent_name_parse(untrusted_name, ret_agent)) {
                log_error("\"%s\" is no name of an agent: a letter or digit, then letters, digits, _ . -, at most %d",
                          ESCAPED(untrusted_name, strlen(untrusted_name)), AGENT_NAME_MAX);
                return COMMAND_STATUS_FAILED;
        }
        if (places_agent_socket(ret_agent, ret_socket)) {
                log_error("%s", places_error_text(PLACES_E_LENGTH));
                return COMMAND_STATUS_FAILED;
        }
        if (lstat(ret_socket, &st) < 0 || !S_ISSOCK(st.st_mode)) {
                log_error("no agent \"%s\" runs: there is no socket %s. Start it: systemctl --user start "
                          "split-ssh-agent@%s",
                          ret_agent->text, ESCAPED(ret_socket, strlen(ret_socket)), ret_agent->text);
                return COMMAND_STATUS_FAILED;
        }
        return 0;
}

static int command_run_ssh_add(const char *socket, const char *const *arguments) {
        int status, r;

        r = keys_run_ssh_add(socket, arguments, false, &status);
        return r ? COMMAND_STATUS_FAILED : status;
}

static int command_load(const AgentName *agent, const char *socket) {
        _cleanup_(keys_deinit) Keys keys = {};
        char folder[PATH_MAX];
        Account account;
        int r, status;

        r = account_self(&account);
        if (r)
                return r < 0 ? r : COMMAND_STATUS_FAILED;
        if (places_keys(account.home, agent, folder)) {
                log_error("%s", places_error_text(PLACES_E_LENGTH));
                return COMMAND_STATUS_FAILED;
        }
        r = keys_read(folder, &keys);
        if (r == KEYS_E_NONE)
                log_error("%s: no private key is there", ESCAPED(folder, strlen(folder)));
        if (r)
                return r < 0 ? error_trace(r) : COMMAND_STATUS_FAILED;
        r = keys_load(&keys, socket, false, &status);
        return r < 0 ? COMMAND_STATUS_FAILED : status;
}

int command_list(int argc, char **argv) {
        char socket[PLACES_SOCKET_MAX];
        AgentName agent;

        return command_find_agent(argv[0], &agent, socket)
                       ?: command_run_ssh_add(socket, (const char *const[]){ "-l", NULL });
}

int command_add(int argc, char **argv) {
        char socket[PLACES_SOCKET_MAX];
        AgentName agent;
        int r;

        r = command_find_agent(argv[0], &agent, socket);
        if (r)
                return r;
        return argc > 1 ? command_run_ssh_add(socket, (const char *const *)argv + 1) : command_load(&agent, socket);
}

int command_reload(int argc, char **argv) {
        char socket[PLACES_SOCKET_MAX];
        AgentName agent;
        int r;

        r = command_find_agent(argv[0], &agent, socket);
        if (r)
                return r;
        (void)command_run_ssh_add(socket, (const char *const[]){ "-D", NULL });
        return command_load(&agent, socket);
}
