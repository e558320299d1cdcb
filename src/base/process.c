/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

int process_wait(pid_t pid) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t process_fork(int *ret_pidfd) {
        int spare_fd, pidfd, error;
        pid_t pid;

        /* One of the same kind holds its place. */
        spare_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        if (spare_fd < 0)
                return -1;
        pid = fork();
        error = errno;
        fd_close(spare_fd);
        if (pid <= 0) {
                errno = error;
                return pid;
        }
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd >= 0) {
                *ret_pidfd = pidfd;
                return pid;
        }
        /* Somebody else took the system's last one. It is ours: its number is nobody else's yet. */
        error = errno;
        (void)kill(pid, SIGKILL);
        (void)process_wait(pid);
        errno = error;
        return -1;
}

void process_kill(int pidfd) {
        siginfo_t info;

        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
                ;
}
