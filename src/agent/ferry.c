/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ferry.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/dial.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/process.h"
#include "data/caller.h"
#include "data/prepare.h"

/** So that a program which a client runs with them can open /dev/stdout once more, whatever its account. */
#define FERRY_PIPE_MODE 0666

enum { FERRY_STREAM, FERRY_STATUS, FERRY_IN, FERRY_OUT, _FERRY_N };

/* They become 3 and following; what else the agent has open is closed. Return: 0 or -errno */
static int ferry_keep(int fds[static _FERRY_N]) {
        for (int i = 0; i < _FERRY_N; ++i) {
                fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + _FERRY_N);
                if (fds[i] < 0)
                        return -errno;
        }
        for (int i = 0; i < _FERRY_N; ++i)
                if (dup2(fds[i], 3 + i) < 0)
                        return -errno;
        for (int i = 0; i < _FERRY_N; ++i)
                fds[i] = 3 + i;
        return close_range(3 + _FERRY_N, ~0U, 0) < 0 ? -errno : 0;
}

/* Nothing in it needs the agent's rights, and it is the client's call. Return: 0 or -errno */
static int ferry_become(const struct ucred *client) {
        sigset_t none;

        sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || (geteuid() == 0 && setgroups(0, NULL) < 0) ||
            setresgid(client->gid, client->gid, client->gid) < 0 ||
            setresuid(client->uid, client->uid, client->uid) < 0)
                return -errno;
        return 0;
}

/* Return: for _exit(); nobody asks for it */
static int ferry_run(int fds[static _FERRY_N], const struct ucred *client) {
        DataCaller caller = DATA_CALLER_INIT;
        DataStatus status = DATA_STATUS_INIT;
        int exit_code;

        if (ferry_keep(fds) < 0 || ferry_become(client) < 0 || data_prepare())
                return 1;
        status.fd = fds[FERRY_STATUS];
        caller.stream_fd = fds[FERRY_STREAM];
        caller.in_fd = fds[FERRY_IN];
        caller.out_fd = fds[FERRY_OUT];
        caller.status = &status;
        caller.hello_usec = DIAL_LIMIT_USEC;
        return data_caller_run(&caller, &exit_code) ? 1 : 0;
}

/* Return: 0 or -errno */
static int ferry_open(int ret_ours[static _FERRY_N], Channel *ret_theirs) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        ret_ours[FERRY_STATUS] = fds[0];
        ret_theirs->status_fd = fds[1];
        /* It is one way: what a client sends there anyway is not taken. */
        if (shutdown(fds[0], SHUT_RD) < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        ret_ours[FERRY_IN] = fds[0];
        ret_theirs->stdin_fd = fds[1];
        if (fchmod(fds[0], FERRY_PIPE_MODE) < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        ret_theirs->stdout_fd = fds[0];
        ret_ours[FERRY_OUT] = fds[1];
        return fchmod(fds[0], FERRY_PIPE_MODE) < 0 ? -errno : 0;
}

/* The one between has nothing to do but to end, so that nobody waits for the other. Return: 0 or -errno */
static int ferry_fork(int fds[static _FERRY_N], const struct ucred *client) {
        pid_t between;
        int status;

        between = fork();
        if (between < 0)
                return -errno;
        if (between == 0) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(ferry_run(fds, client));
                _exit(pid < 0 ? errno : 0);
        }
        /* An errno, where there is no ferry. */
        status = process_wait(between);
        return status > 0 ? -status : status;
}

int ferry_start(int stream_fd, const struct ucred *client, int *reterr_errno, Channel *ret_channel) {
        int ours[_FERRY_N] = { stream_fd, -1, -1, -1 }, r;
        Channel theirs = CHANNEL_INIT;

        r = ferry_open(ours, &theirs);
        if (!r)
                r = ferry_fork(ours, client);
        for (int i = FERRY_STATUS; i < _FERRY_N; ++i)
                fd_close(ours[i]);
        if (r < 0) {
                channel_close(&theirs);
                *reterr_errno = -r;
                return FERRY_E_FAILED;
        }
        *ret_channel = theirs;
        return 0;
}
