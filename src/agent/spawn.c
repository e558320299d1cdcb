/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2) /* Linux 6.9; Debian 12's headers do not have it yet */
#endif

/** What the child uses of it is less than 2 KiB; the rest is for the C library's own frames. */
#define SPAWN_STACK_SIZE (64U * 1024U)

/* Shared with the child, which runs in our memory until it calls exec. */
typedef struct SpawnChild {
        const Spawn *spawn;
        volatile int error; /* errno of what failed; 0 after a successful exec */
} SpawnChild;

/* Ignored signals survive exec; those that have a handler fall back by themselves. */
static int spawn_reset_signals(void) {
        struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int signal = 1; signal < NSIG; ++signal)
                if (sigaction(signal, &action, NULL) < 0 && errno != EINVAL)
                        return -1;
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Runs in the parent's memory while the parent waits: it changes nothing there but SpawnChild, and calls nothing but
 * system calls. The signal table is its own (no CLONE_SIGHAND), so no handler of ours can run here.
 */
__attribute__((no_sanitize_address)) static int spawn_child(void *userdata) {
        SpawnChild *child = userdata;
        const Spawn *spawn = child->spawn;

        (void)setsid();
        /* A home that is gone keeps nobody from being served: 6.9 only warns. */
        if (spawn->directory)
                (void)!chdir(spawn->directory);
        if (dup2(spawn->stdin_fd, STDIN_FILENO) < 0 || dup2(spawn->stdout_fd, STDOUT_FILENO) < 0 ||
            dup2(spawn->stderr_fd, STDERR_FILENO) < 0)
                goto failed;
        /* Whatever the agent, or a library, forgot to mark close-on-exec, no service must inherit. */
        if (close_range(3, ~0U, 0) < 0)
                goto failed;
        if (spawn->files && setrlimit(RLIMIT_NOFILE, spawn->files) < 0)
                goto failed;
        if (spawn_reset_signals() < 0)
                goto failed;
        execve(spawn->program, spawn->argv, spawn->environment);
failed:
        child->error = errno;
        _exit(125);
}

int spawn_process(const Spawn *spawn, int *reterr_errno, pid_t *ret_pid, int *ret_pidfd) {
        SpawnChild child = { .spawn = spawn };
        _cleanup_fd_ int pidfd = -1;
        sigset_t all, before;
        void *stack;
        int error;
        pid_t pid;

        if (spawn->stdin_fd < 3 || spawn->stdout_fd < 3 || spawn->stderr_fd < 3)
                return error_origin(-EINVAL);

        stack = mmap(NULL, SPAWN_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (stack == MAP_FAILED)
                return error_origin(-errno);

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        pid = clone(spawn_child, (uint8_t *)stack + SPAWN_STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                    &child, &pidfd);
        error = pid < 0 ? errno : child.error;
        sigprocmask(SIG_SETMASK, &before, NULL);
        munmap(stack, SPAWN_STACK_SIZE);

        if (error)
                *reterr_errno = error;
        if (pid < 0)
                return SPAWN_E_LIMIT;
        if (error) {
                siginfo_t info;

                while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
                        ;
                return error == ENOENT ? SPAWN_E_NOT_FOUND : SPAWN_E_FAILED;
        }
        *ret_pid = pid;
        *ret_pidfd = fd_steal(&pidfd);
        return 0;
}

void spawn_signal_group(pid_t pid, int pidfd, int signal) {
        if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, PIDFD_SIGNAL_PROCESS_GROUP) < 0 && errno == EINVAL)
                (void)kill(-pid, signal);
}
