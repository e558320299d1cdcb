/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
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

static int spawn_map_stack(void **ret_stack) {
        void *stack;

        stack = mmap(NULL, SPAWN_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (stack == MAP_FAILED)
                return -errno;
        *ret_stack = stack;
        return 0;
}

int spawn_slots_init(SpawnSlots *slots) {
        int error = 0;

        *slots = SPAWN_SLOTS_INIT;
        slots->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (slots->null_fd < 0)
                error = -errno;
        for (int i = 0; !error && i < (int)ARRAY_SIZE(slots->own_fds); ++i) {
                slots->own_fds[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
                if (slots->own_fds[i] < 0)
                        error = -errno;
        }
        if (!error)
                error = spawn_map_stack(&slots->stack);
        if (error)
                spawn_slots_deinit(slots);
        return error_origin(error);
}

void spawn_slots_deinit(SpawnSlots *slots) {
        for (size_t i = 0; i < ARRAY_SIZE(slots->own_fds); ++i)
                slots->own_fds[i] = fd_close(slots->own_fds[i]);
        slots->null_fd = fd_close(slots->null_fd);
        if (slots->stack)
                (void)munmap(slots->stack, SPAWN_STACK_SIZE);
        slots->stack = NULL;
}

/* Make them 0, 1 and 2. Return: 0 or -errno */
static int spawn_place(const int fds[static 3]) {
        for (int i = 0; i < 3; ++i)
                if (dup2(fds[i], i) < 0)
                        return -errno;
        return 0;
}

/* Ignored signals survive exec; those that have a handler fall back by themselves. */
static int spawn_reset_signals(const sigset_t *signals) {
        struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int signal = 1; signal < NSIG; ++signal)
                if ((!signals || sigismember(signals, signal) == 1) && sigaction(signal, &action, NULL) < 0 &&
                    errno != EINVAL)
                        return -1;
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Runs in the parent's memory while the parent waits: it changes nothing there but SpawnChild, and calls nothing but
 * system calls.
 */
__attribute__((no_sanitize_address)) static int spawn_child(void *userdata) {
        SpawnChild *child = userdata;
        const Spawn *spawn = child->spawn;
        const int ends[] = { spawn->stdin_fd, spawn->stdout_fd, spawn->stderr_fd };

        /*
         * With slots the ends are in place, and the table is the parent's until it is unshared: before that nothing may be
         * opened, closed or moved. Either way, whatever the agent, or a library, forgot to mark close-on-exec, no service
         * must inherit.
         */
        if (!spawn->slots && spawn_place(ends) < 0)
                goto failed;
        if (close_range(3, ~0U, spawn->slots ? CLOSE_RANGE_UNSHARE : 0) < 0)
                goto failed;
        (void)setsid();
        /* A home that is gone keeps nobody from being served: 6.9 only warns. */
        if (spawn->directory)
                (void)!chdir(spawn->directory);
        if (spawn->files && setrlimit(RLIMIT_NOFILE, spawn->files) < 0)
                goto failed;
        if (spawn_reset_signals(spawn->signals) < 0)
                goto failed;
        execve(spawn->program, spawn->argv, spawn->environment);
failed:
        child->error = errno;
        _exit(125);
}

static int spawn_clone(SpawnChild *child, pid_t *ret_pid, int *ret_pidfd) {
        const SpawnSlots *slots = child->spawn->slots;
        int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD | (slots ? CLONE_FILES : 0);
        void *stack = slots ? slots->stack : NULL;
        int error = 0;
        pid_t pid;

        if (!stack)
                error = spawn_map_stack(&stack);
        if (error)
                return error;
        pid = clone(spawn_child, (uint8_t *)stack + SPAWN_STACK_SIZE, flags, child, ret_pidfd);
        if (pid < 0)
                error = -errno;
        if (!slots)
                (void)munmap(stack, SPAWN_STACK_SIZE);
        *ret_pid = pid;
        return error;
}

void spawn_find_signals(sigset_t *ret_signals) {
        sigemptyset(ret_signals);
        for (int signal = 1; signal < NSIG; ++signal) {
                struct sigaction action;

                if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
                        sigaddset(ret_signals, signal);
        }
}

int spawn_process(const Spawn *spawn, int *reterr_errno, pid_t *ret_pid, int *ret_pidfd) {
        const int ends[] = { spawn->stdin_fd, spawn->stdout_fd, spawn->stderr_fd };
        SpawnChild child = { .spawn = spawn };
        _cleanup_fd_ int pidfd = -1;
        pid_t pid = -1;
        int r = 0;

        if (spawn->stdin_fd < 3 || spawn->stdout_fd < 3 || spawn->stderr_fd < 3)
                return error_origin(-EINVAL);

        if (spawn->slots)
                r = spawn_place(ends);
        if (!r)
                r = spawn_clone(&child, &pid, &pidfd);
        /* Or the ends of this program would stay open in us. Onto what is open it cannot fail. */
        if (spawn->slots)
                (void)spawn_place(spawn->slots->own_fds);
        if (r < 0) {
                *reterr_errno = -r;
                return SPAWN_E_LIMIT;
        }
        if (child.error) {
                siginfo_t info;

                *reterr_errno = child.error;
                while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
                        ;
                return child.error == ENOENT ? SPAWN_E_NOT_FOUND : SPAWN_E_FAILED;
        }
        *ret_pid = pid;
        *ret_pidfd = fd_steal(&pidfd);
        return 0;
}

void spawn_signal_group(pid_t pid, int pidfd, int signal) {
        if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, PIDFD_SIGNAL_PROCESS_GROUP) < 0 && errno == EINVAL)
                (void)kill(-pid, signal);
}
