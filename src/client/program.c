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

/* Duplicates that stay open across exec, above the standard descriptors. */
static int program_save_fd(int fd, const char *name) {
        int saved = fcntl(fd, F_DUPFD, 3);

        return saved < 0 ? -errno : program_setenv_number(name, saved);
}

static int program_set_up(const Program *program, int in_fd, int out_fd, pid_t caller_pid) {
        int r = 0;

        if (program->save_fds) {
                r = program_save_fd(STDIN_FILENO, "SAVED_FD_0");
                if (!r)
                        r = program_save_fd(STDOUT_FILENO, "SAVED_FD_1");
                if (!r && getenv("PASS_LOCAL_STDERR"))
                        r = program_save_fd(STDERR_FILENO, "SAVED_FD_2");
                if (!r && caller_pid > 0)
                        r = program_setenv_number("QREXEC_AGENT_PID", caller_pid);
        }
        if (caller_pid == 0)
                (void)unsetenv("QREXEC_AGENT_PID");
        if (!r && program->remote_domain && setenv("QREXEC_REMOTE_DOMAIN", program->remote_domain, 1) < 0)
                r = -errno;
        /* The ends of the pairs are not among 0 to 2: fd_ensure_standard() saw to that. dup2() clears close-on-exec. */
        if (!r && (dup2(in_fd, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0))
                r = -errno;
        if (!r)
                r = data_restore();
        return r;
}

static int program_run(const Program *program, int in_fd, int out_fd, pid_t caller_pid) {
        int r;

        r = program_set_up(program, in_fd, out_fd, caller_pid);
        if (!r) {
                (void)execv(program->path, program->argv);
                r = -errno;
        }
        log_error("cannot execute %s: %s", program->path, strerror(-r));
        return PROGRAM_STATUS_FAILED;
}

/* @ours: ends that the program must not have, whose numbers are then free for what it shall have; or NULL */
static int program_fork(const Program *program, int stdin_fd, int stdout_fd, const ProgramEnds *ours, int *ret_pidfd) {
        /* Who takes SIGUSR1 for the switch to one socket. */
        pid_t caller_pid = ours ? getpid() : 0;
        pid_t pid;
        int pidfd;

        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0) {
                /* Room for the duplicates below ten: POSIX shells redirect by one digit only. */
                if (ours) {
                        fd_close(ours->in_fd);
                        fd_close(ours->out_fd);
                }
                _exit(program_run(program, stdin_fd, stdout_fd, caller_pid));
        }

        /* Our child, not yet waited for: its pid cannot have become another's. */
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return error_origin(-errno);
        *ret_pidfd = pidfd;
        return 0;
}

int program_start_with(const Program *program, int stdin_fd, int stdout_fd, int *ret_pidfd) {
        return error_trace(program_fork(program, stdin_fd, stdout_fd, NULL, ret_pidfd));
}

int program_start(const Program *program, ProgramEnds *ret_ends) {
        _cleanup_fd_ int in_ours = -1, in_theirs = -1, out_ours = -1, out_theirs = -1;
        int fds[2];
        int pidfd, r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        out_ours = fds[0];
        in_theirs = fds[1];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        in_ours = fds[0];
        out_theirs = fds[1];

        r = program_fork(program, in_theirs, out_theirs, &(ProgramEnds){ .in_fd = in_ours, .out_fd = out_ours },
                         &pidfd);
        if (r)
                return error_trace(r);
        *ret_ends = (ProgramEnds){
                .in_fd = fd_steal(&in_ours),
                .out_fd = fd_steal(&out_ours),
                .pidfd = pidfd,
        };
        return 0;
}
