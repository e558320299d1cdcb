/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"

#define NOTIFY_SEC  5
#define EXIT_NOEXEC 127

/* Of ours, it sees these; PATH and LANG are what we say. */
static const char *const environment_names[] = {
        "HOME", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
};
#define ENVIRONMENT_N (ARRAY_SIZE(environment_names) + 3)

static void free_environment(char *environment[static ENVIRONMENT_N]) {
        for (size_t i = 0; i < ENVIRONMENT_N; ++i)
                free(environment[i]);
}

static bool make_environment(char *environment[static ENVIRONMENT_N]) {
        size_t n = 0;

        memset(environment, 0, ENVIRONMENT_N * sizeof(*environment));
        environment[n++] = strdup("PATH=/usr/bin:/bin");
        environment[n++] = strdup("LANG=C.UTF-8");
        for (size_t i = 0; i < ARRAY_SIZE(environment_names); ++i) {
                const char *value = getenv(environment_names[i]);

                if (value && asprintf(&environment[n++], "%s=%s", environment_names[i], value) < 0) {
                        environment[n - 1] = NULL;
                        return false;
                }
        }
        return environment[0] && environment[1];
}

/* In the child: nothing of ours but standard input. */
static _Noreturn void run(const char *program, const char *mode, char **environment, int record_fd, pid_t parent) {
        const char *const argv[] = { program, mode, NULL };
        sigset_t none;
        int null_fd;

        (void)setsid();
        /* It does not outlive who asks. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(EXIT_NOEXEC);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd >= 0 && dup2(record_fd, STDIN_FILENO) >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0 &&
            dup2(null_fd, STDERR_FILENO) >= 0 && syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
                (void)execve(program, (char *const *)argv, environment);
        _exit(EXIT_NOEXEC);
}

int ssh_helper_start(SshHelper *helper, const char *program, const char *mode) {
        char *environment[ENVIRONMENT_N];
        int pipe_fds[2] = { -1, -1 }, pidfd = -1;
        pid_t parent = getpid(), pid = -1;

        if (make_environment(environment) && pipe2(pipe_fds, O_CLOEXEC) == 0 &&
            fd_set_nonblocking(pipe_fds[1], true) == 0) {
                pid = fork();
                if (pid == 0)
                        run(program, mode, environment, pipe_fds[0], parent);
        }
        free_environment(environment);
        (void)fd_close(pipe_fds[0]);
        if (pid > 0)
                pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0) {
                (void)fd_close(pipe_fds[1]);
                if (pid > 0) {
                        (void)kill(pid, SIGKILL);
                        (void)process_wait(pid);
                }
                return SSH_HELPER_E_FAILED;
        }
        helper->pid = pid;
        helper->pidfd = pidfd;
        helper->record_fd = pipe_fds[1];
        helper->n_written = 0;
        return 0;
}

void ssh_helper_poll(const SshHelper *helper, struct pollfd ret_fds[static SSH_HELPER_POLL_N]) {
        ret_fds[0] = (struct pollfd){ .fd = helper->pidfd, .events = POLLIN };
        ret_fds[1] = (struct pollfd){ .fd = helper->record_fd, .events = POLLOUT };
}

static void write_record(SshHelper *helper) {
        size_t n = strlen(helper->record);

        while (helper->record_fd >= 0 && helper->n_written < n) {
                ssize_t written = write(helper->record_fd, helper->record + helper->n_written, n - helper->n_written);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0 && errno == EAGAIN)
                        return;
                if (written < 0)
                        break; /* it does not read: its status says what it thinks */
                helper->n_written += (size_t)written;
        }
        helper->record_fd = fd_close(helper->record_fd);
}

int ssh_helper_dispatch(SshHelper *helper, int *ret_status) {
        struct pollfd ended = { .fd = helper->pidfd, .events = POLLIN };

        write_record(helper);
        if (poll(&ended, 1, 0) != 1)
                return SSH_HELPER_E_RUNS;
        *ret_status = process_wait(helper->pid);
        helper->record_fd = fd_close(helper->record_fd);
        helper->pidfd = fd_close(helper->pidfd);
        helper->pid = -1;
        return 0;
}

void ssh_helper_kill(SshHelper *helper) {
        if (helper->pid > 0) {
                /* Right after the fork it may not lead a group yet. */
                (void)kill(-helper->pid, SIGKILL);
                (void)kill(helper->pid, SIGKILL);
                (void)process_wait(helper->pid);
        }
        helper->pid = -1;
        helper->record_fd = fd_close(helper->record_fd);
        helper->pidfd = fd_close(helper->pidfd);
}

/* Waits for a helper in our place, and kills it when its time is over. */
static _Noreturn void watch(const char *program, const char *record) {
        SshHelper helper = SSH_HELPER_INIT;
        uint64_t deadline_usec = clock_now() + NOTIFY_SEC * USEC_PER_SEC;
        int status;

        /* The client must see the end of its stream when the filter ends, not when we do. */
        (void)syscall(SYS_close_range, 0, ~0U, 0);
        (void)open("/dev/null", O_RDWR);
        (void)open("/dev/null", O_RDWR);
        (void)open("/dev/null", O_RDWR);
        (void)snprintf(helper.record, sizeof(helper.record), "%s", record);
        if (ssh_helper_start(&helper, program, "notify"))
                _exit(1);
        while (ssh_helper_dispatch(&helper, &status) == SSH_HELPER_E_RUNS) {
                uint64_t now_usec = clock_now();
                struct pollfd fds[SSH_HELPER_POLL_N];

                if (now_usec >= deadline_usec) {
                        ssh_helper_kill(&helper);
                        _exit(1);
                }
                ssh_helper_poll(&helper, fds);
                (void)poll(fds, SSH_HELPER_POLL_N, (int)((deadline_usec - now_usec) / USEC_PER_MSEC) + 1);
        }
        _exit(0);
}

void ssh_helper_notify(const char *program, const char *record) {
        pid_t pid = fork();

        if (pid == 0) {
                /* Nobody's child, so that nobody has to wait for it. */
                if (fork() == 0) {
                        (void)setsid();
                        watch(program, record);
                }
                _exit(0);
        }
        if (pid > 0)
                (void)process_wait(pid);
}
