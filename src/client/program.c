/* SPDX-License-Identifier: Apache-2.0 */
#include "client/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "data/prepare.h"

/** What a child that cannot become its program ends with (5.13). */
#define PROGRAM_STATUS_FAILED 255

static int program_setenv_number(const char *name, long number) {
        char text[24];

        (void)snprintf(text, sizeof(text), "%ld", number);
        return setenv(name, text, 1) < 0 ? -errno : 0;
}

/* Our own descriptors that a program gets beside its stdin and stdout. */
typedef struct Saved {
        int fds[3];
        size_t n;
} Saved;

static void saved_close(Saved *saved) {
        while (saved->n > 0)
                fd_close(saved->fds[--saved->n]);
}

/* A duplicate that stays open across exec, above the standard descriptors. */
static int saved_add(Saved *saved, int fd, const char *name) {
        int duplicate = fcntl(fd, F_DUPFD, 3);

        if (duplicate < 0)
                return -errno;
        saved->fds[saved->n++] = duplicate;
        return program_setenv_number(name, duplicate);
}

/*
 * What the program will find in its environment and beside its stdin and stdout. It is made here and not in the child,
 * which shares our memory; we have no use for our environment afterwards. Called before there are other descriptors:
 * the duplicates shall be below ten, since POSIX shells redirect by one digit only.
 */
static int program_prepare(const Program *program, pid_t caller_pid, Saved *saved) {
        int r = 0;

        if (program->save_fds) {
                r = saved_add(saved, STDIN_FILENO, "SAVED_FD_0");
                if (!r)
                        r = saved_add(saved, STDOUT_FILENO, "SAVED_FD_1");
                if (!r && getenv("PASS_LOCAL_STDERR"))
                        r = saved_add(saved, STDERR_FILENO, "SAVED_FD_2");
                if (!r && caller_pid > 0)
                        r = program_setenv_number("QREXEC_AGENT_PID", caller_pid);
        }
        if (caller_pid == 0)
                (void)unsetenv("QREXEC_AGENT_PID");
        if (!r && program->remote_domain && setenv("QREXEC_REMOTE_DOMAIN", program->remote_domain, 1) < 0)
                r = -errno;
        return error_origin(r);
}

/*
 * In the child: returns only if the program could not be executed. The ends are not among 0 to 2: fd_ensure_standard()
 * saw to that. dup2() clears close-on-exec, which everything else of ours has.
 */
static void program_execute(const Program *program, int stdin_fd, int stdout_fd) {
        int r;

        if (dup2(stdin_fd, STDIN_FILENO) < 0 || dup2(stdout_fd, STDOUT_FILENO) < 0)
                r = -errno;
        else
                r = data_restore();
        if (!r) {
                (void)execv(program->path, program->argv);
                r = -errno;
        }
        log_error("cannot execute %s: %s", program->path, strerror(-r));
}

/*
 * With vfork(): a copy of our memory would be thrown away at once. The child borrows ours until it executes the program or
 * ends, and we wait. It changes nothing that we look at afterwards; no signal has a handler here; there are no threads.
 */
static int program_spawn(const Program *program, int stdin_fd, int stdout_fd, int *ret_pidfd) {
        pid_t pid;
        int pidfd;

        pid = vfork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0) {
                program_execute(program, stdin_fd, stdout_fd);
                _exit(PROGRAM_STATUS_FAILED);
        }

        /* Our child, not yet waited for: its pid cannot have become another's. */
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return error_origin(-errno);
        *ret_pidfd = pidfd;
        return 0;
}

int program_start_with(const Program *program, int stdin_fd, int stdout_fd, int *ret_pidfd) {
        _cleanup_(saved_close) Saved saved = {};
        int r;

        r = program_prepare(program, 0, &saved);
        if (r)
                return error_trace(r);
        return error_trace(program_spawn(program, stdin_fd, stdout_fd, ret_pidfd));
}

int program_start(const Program *program, ProgramEnds *ret_ends) {
        _cleanup_fd_ int in_ours = -1, in_theirs = -1, out_ours = -1, out_theirs = -1;
        _cleanup_(saved_close) Saved saved = {};
        int fds[2];
        int pidfd, r;

        /* We are who takes SIGUSR1 for the switch to one socket. */
        r = program_prepare(program, getpid(), &saved);
        if (r)
                return error_trace(r);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        out_ours = fds[0];
        in_theirs = fds[1];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        in_ours = fds[0];
        out_theirs = fds[1];

        r = program_spawn(program, in_theirs, out_theirs, &pidfd);
        if (r)
                return error_trace(r);
        *ret_ends = (ProgramEnds){
                .in_fd = fd_steal(&in_ours),
                .out_fd = fd_steal(&out_ours),
                .pidfd = pidfd,
        };
        return 0;
}
