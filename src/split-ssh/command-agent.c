/* SPDX-License-Identifier: Apache-2.0 */
/* split-ssh start, list, add, reload: in the vault, by who has the keys (split-ssh specification, 3.4). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "split-ssh/account.h"
#include "split-ssh/agent.h"
#include "split-ssh/command.h"
#include "split-ssh/keys.h"
#include "ssh/places.h"

/* Return: 0 or COMMAND_STATUS_FAILED */
static int command_parse_agent(const char *untrusted_name, AgentName *ret_agent,
                               char ret_socket[static SOCKET_PATH_MAX]) {
        if (agent_name_parse(untrusted_name, ret_agent)) {
                log_error("\"%s\" is no name of an agent: a letter or digit, then letters, digits, _ . -, at most %d",
                          ESCAPED(untrusted_name, strlen(untrusted_name)), AGENT_NAME_MAX);
                return COMMAND_STATUS_FAILED;
        }
        if (places_agent_socket(ret_agent, ret_socket)) {
                log_error("%s", places_error_text(PLACES_E_LENGTH));
                return COMMAND_STATUS_FAILED;
        }
        return 0;
}

/* Where it runs. Return: 0 or COMMAND_STATUS_FAILED */
static int command_find_agent(const char *untrusted_name, AgentName *ret_agent,
                              char ret_socket[static SOCKET_PATH_MAX]) {
        struct stat st;

        if (command_parse_agent(untrusted_name, ret_agent, ret_socket))
                return COMMAND_STATUS_FAILED;
        if (lstat(ret_socket, &st) < 0 || !S_ISSOCK(st.st_mode)) {
                log_error("no agent \"%s\" runs: there is no socket %s. Start it: split-ssh start %s", ret_agent->text,
                          ESCAPED(ret_socket, strlen(ret_socket)), ret_agent->text);
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

/* In the child: be the agent's keeper. Return: never */
static _Noreturn void command_keep_agent(const AgentName *agent, const Account *account, int ready_fd) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), r;

        if (setsid() < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
                _exit(COMMAND_STATUS_FAILED);
        r = agent_run(agent, account, ready_fd);
        _exit(r < 0 ? COMMAND_STATUS_FAILED : r);
}

int command_start(int argc, char **argv) {
        char socket[SOCKET_PATH_MAX], byte;
        int pipe_fds[2], r;
        AgentName agent;
        Account account;
        pid_t pid;

        r = command_parse_agent(argv[0], &agent, socket);
        if (!r)
                r = account_self(&account);
        if (r)
                return r < 0 ? r : COMMAND_STATUS_FAILED;
        if (agent_is_running(socket))
                return 0;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        pid = fork();
        if (pid == 0) {
                (void)fd_close(pipe_fds[0]);
                command_keep_agent(&agent, &account, pipe_fds[1]);
        }
        (void)fd_close(pipe_fds[1]);
        r = pid < 0 ? error_origin(-errno) : fd_read_full(pipe_fds[0], &byte, 1);
        (void)fd_close(pipe_fds[0]);
        return r ? COMMAND_STATUS_FAILED : 0;
}

int command_list(int argc, char **argv) {
        char socket[SOCKET_PATH_MAX];
        AgentName agent;

        return command_find_agent(argv[0], &agent, socket)
                       ?: command_run_ssh_add(socket, (const char *const[]){ "-l", NULL });
}

int command_add(int argc, char **argv) {
        char socket[SOCKET_PATH_MAX];
        AgentName agent;
        int r;

        r = command_find_agent(argv[0], &agent, socket);
        if (r)
                return r;
        return argc > 1 ? command_run_ssh_add(socket, (const char *const *)argv + 1) : command_load(&agent, socket);
}

int command_reload(int argc, char **argv) {
        char socket[SOCKET_PATH_MAX];
        AgentName agent;
        int r;

        r = command_find_agent(argv[0], &agent, socket);
        if (r)
                return r;
        (void)command_run_ssh_add(socket, (const char *const[]){ "-D", NULL });
        return command_load(&agent, socket);
}
