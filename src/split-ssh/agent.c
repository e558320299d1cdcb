/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/socket.h"
#include "ssh/places.h"
#include "split-ssh/keys.h"
#include "split-ssh/program.h"

#define STATUS_FAILED 1

typedef struct AgentProcess {
        pid_t pid;
        int pidfd, signal_fd;
} AgentProcess;

static void agent_process_deinit(AgentProcess *process) {
        process->pidfd = fd_close(process->pidfd);
        process->signal_fd = fd_close(process->signal_fd);
}

/*
 * Folders
 */

/* Return: 0 or STATUS_FAILED */
static int agent_make_folder(const char *path) {
        struct stat st;

        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
                log_error("%s: cannot be made: %s", ESCAPED(path, strlen(path)), strerror(errno));
                return STATUS_FAILED;
        }
        if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || chmod(path, 0700) < 0) {
                log_error("%s: is no folder of ours: remove it", ESCAPED(path, strlen(path)));
                return STATUS_FAILED;
        }
        return 0;
}

/* @path and what leads to it, from behind its first @n_there characters, which are there. Return: 0 or STATUS_FAILED */
static int agent_make_folders(const char *path, size_t n_there) {
        char folder[PATH_MAX];

        for (size_t n = n_there + 1;; ++n) {
                if (path[n] != '/' && path[n] != '\0')
                        continue;
                memcpy(folder, path, n);
                folder[n] = '\0';
                if (agent_make_folder(folder))
                        return STATUS_FAILED;
                if (path[n] == '\0')
                        return 0;
        }
}

/* For root: the machine's folder, which is the user's from then on. Return: 0 or STATUS_FAILED */
static int agent_make_machine_folder(const Account *account) {
        struct stat st;

        if (mkdir(PLACES_RUN_DIR, 0700) < 0 && errno != EEXIST) {
                log_error(PLACES_RUN_DIR ": cannot be made: %s", strerror(errno));
                return STATUS_FAILED;
        }
        /* The folder above is root's, so nobody puts something else there between the two. */
        if (lstat(PLACES_RUN_DIR, &st) < 0 || !S_ISDIR(st.st_mode) || chmod(PLACES_RUN_DIR, 0700) < 0 ||
            chown(PLACES_RUN_DIR, account->uid, account->gid) < 0) {
                log_error(PLACES_RUN_DIR ": is no folder that could be given to %s", account->name);
                return STATUS_FAILED;
        }
        return 0;
}

bool agent_is_running(const char *socket) {
        _cleanup_fd_ int fd = -1;
        int r = socket_connect(socket, SOCK_STREAM | SOCK_NONBLOCK, &fd);

        return r == 0 || r == -EAGAIN;
}

/* Both folders, and no stale socket. Return: 0, STATUS_FAILED, or a negative error */
static int agent_prepare(const AgentName *agent, const Account *account, char ret_socket[static SOCKET_PATH_MAX],
                         char ret_keys[static PATH_MAX]) {
        char folder[PATH_MAX];
        bool is_machine;

        if (places_agents(folder) || places_agent_socket(agent, ret_socket) ||
            places_keys(account->home, agent, ret_keys)) {
                log_error("%s", places_error_text(PLACES_E_LENGTH));
                return STATUS_FAILED;
        }
        is_machine = strcmp(folder, PLACES_RUN_DIR) == 0;
        /* The two last parts of an account's folder are ours. */
        if (!is_machine && agent_make_folders(folder, strlen(folder) - strlen("/qubes/split-ssh")))
                return STATUS_FAILED;
        if (agent_make_folders(ret_keys, strlen(account->home)))
                return STATUS_FAILED;
        if (agent_is_running(ret_socket)) {
                log_error("%s: another agent listens there already", ESCAPED(ret_socket, strlen(ret_socket)));
                return STATUS_FAILED;
        }
        if (unlink(ret_socket) < 0 && errno != ENOENT) {
                log_error("%s: cannot be removed: %s", ESCAPED(ret_socket, strlen(ret_socket)), strerror(errno));
                return STATUS_FAILED;
        }
        return 0;
}

/*
 * The process
 */

static int agent_spawn(const char *socket, unsigned flags, AgentProcess *process) {
        const char *const argv[] = { SPLIT_SSH_AGENT, "-D", "-a", socket, NULL };
        sigset_t signals;
        int r;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGTERM);
        (void)sigaddset(&signals, SIGINT);
        (void)sigaddset(&signals, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return error_origin(-errno);
        process->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
        if (process->signal_fd < 0)
                return error_origin(-errno);
        r = program_spawn(argv, flags | PROGRAM_NO_OUTPUT, &process->pid);
        if (r) {
                log_error("cannot run " SPLIT_SSH_AGENT ": %s: install the OpenSSH client", strerror(-r));
                return STATUS_FAILED;
        }
        process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
        return process->pidfd < 0 ? error_origin(-errno) : 0;
}

static bool agent_is_there(const char *socket) {
        struct stat st;

        return lstat(socket, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Wait for its end, a signal, or @timeout_msec. Return: true: it has ended */
static bool agent_wait(const AgentProcess *process, int timeout_msec) {
        struct pollfd polled[] = {
                { .fd = process->pidfd, .events = POLLIN },
                { .fd = process->signal_fd, .events = POLLIN },
        };
        struct signalfd_siginfo info;

        if (poll(polled, ARRAY_SIZE(polled), timeout_msec) <= 0)
                return false;
        if (polled[1].revents & POLLIN && read(process->signal_fd, &info, sizeof(info)) == sizeof(info))
                (void)kill(process->pid, SIGTERM);
        return polled[0].revents & POLLIN;
}

/* Return: true: it listens; false: it does not, or has ended */
static bool agent_wait_listening(const AgentProcess *process, const char *socket) {
        uint64_t until_usec = clock_now() + AGENT_START_USEC;

        while (!agent_is_there(socket))
                if (agent_wait(process, AGENT_LOOK_MSEC) || clock_now() > until_usec)
                        return false;
        return true;
}

static int agent_load(const char *folder, const char *socket) {
        _cleanup_(keys_deinit) Keys keys = {};
        int r, status;

        r = keys_read(folder, &keys);
        if (r == KEYS_E_NONE)
                log_notice("%s: no key is there yet", ESCAPED(folder, strlen(folder)));
        if (r)
                return r < 0 ? error_trace(r) : 0;
        return error_trace(keys_load(&keys, socket, true, &status));
}

/* Whoever waits for us goes on, and has the terminal for himself. */
static void agent_say_ready(int ready_fd) {
        _cleanup_fd_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (ready_fd < 0)
                return;
        if (null_fd >= 0)
                (void)dup2(null_fd, STDERR_FILENO);
        (void)fd_write_full(ready_fd, "", 1);
        (void)fd_close(ready_fd);
}

int agent_run(const AgentName *agent, const Account *account, int ready_fd) {
        _cleanup_(agent_process_deinit) AgentProcess process = { .pidfd = -1, .signal_fd = -1 };
        char socket[SOCKET_PATH_MAX], keys[PATH_MAX];
        int r;

        if (geteuid() == 0) {
                r = agent_make_machine_folder(account) ?: account_become(account);
                if (r)
                        return r < 0 ? r : STATUS_FAILED;
        }
        r = agent_prepare(agent, account, socket, keys)
                    ?: agent_spawn(socket, ready_fd >= 0 ? PROGRAM_NO_ERRORS : 0, &process);
        if (r)
                return r;
        if (agent_wait_listening(&process, socket)) {
                r = agent_load(keys, socket);
                agent_say_ready(ready_fd);
        } else {
                log_error("ssh-agent does not listen at %s", ESCAPED(socket, strlen(socket)));
                (void)kill(process.pid, SIGTERM);
        }
        while (!agent_wait(&process, -1))
                ;
        (void)unlink(socket);
        return error_origin(process_wait(process.pid)) ?: r;
}
