/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"

/* As a shell has it. */
#define EXIT_NOT_FOUND 127

/* Nothing of the stream, and nothing of ours. Return: 0 or -errno. */
static int leave_stream(int input_fd) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null_fd < 0 || dup2(input_fd >= 0 ? input_fd : null_fd, STDIN_FILENO) < 0 ||
            dup2(null_fd, STDOUT_FILENO) < 0 || dup2(null_fd, STDERR_FILENO) < 0)
                return -errno;
        (void)signal(SIGPIPE, SIG_DFL);
        return close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

/* A pipe holds it all: @input is short. */
static int make_input(const char *input, int *ret_fd) {
        _cleanup_fd_ int read_fd = -1, write_fd = -1;
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_origin(-errno);
        read_fd = ends[0];
        write_fd = ends[1];
        if (fd_write_full(write_fd, input, strlen(input)) < 0)
                return error_origin(-EIO);
        *ret_fd = fd_steal(&read_fd);
        return 0;
}

/* Return: 0: it has ended; or a HELPER_E_…, with it still running. */
static int wait_end(int pidfd, unsigned timeout_sec) {
        uint64_t deadline = clock_now() + timeout_sec * USEC_PER_SEC;

        for (;;) {
                struct pollfd polled[] = {
                        { .fd = pidfd, .events = POLLIN },
                        { .fd = STDOUT_FILENO, .events = 0 }, /* a hang-up comes unasked */
                };
                uint64_t now = clock_now();

                if (now >= deadline)
                        return HELPER_E_TIMEOUT;
                if (poll(polled, ARRAY_SIZE(polled), (int)((deadline - now) / USEC_PER_MSEC) + 1) < 0)
                        continue; /* EINTR: the deadline is looked at again */
                if (polled[0].revents)
                        return 0;
                if (polled[1].revents)
                        return HELPER_E_CALLER;
        }
}

static int reap(pid_t pid, int *ret_status) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_origin(-errno);
        if (!WIFEXITED(status))
                return HELPER_E_KILLED;
        if (WEXITSTATUS(status) == EXIT_NOT_FOUND)
                return HELPER_E_NONE;
        *ret_status = WEXITSTATUS(status);
        return 0;
}

int helper_run(const char *const *argv, const char *input, unsigned timeout_sec, int *ret_status) {
        _cleanup_fd_ int input_fd = -1, pidfd = -1;
        pid_t pid;
        int r = 0;

        if (input)
                r = make_input(input, &input_fd);
        if (r)
                return r;
        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0) {
                if (leave_stream(input_fd) == 0)
                        (void)execvp(argv[0], (char *const *)argv);
                _exit(EXIT_NOT_FOUND);
        }
        pidfd = pidfd_open(pid, 0);
        r = pidfd < 0 ? HELPER_E_TIMEOUT : wait_end(pidfd, timeout_sec);
        if (r) {
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return r;
        }
        return reap(pid, ret_status);
}

int helper_detach(unsigned timeout_sec) {
        pid_t pid = fork();

        if (pid < 0)
                return error_origin(-errno);
        if (pid > 0) {
                (void)waitpid(pid, NULL, 0);
                return 0;
        }
        pid = fork();
        if (pid != 0 || setsid() < 0 || leave_stream(-1) < 0)
                _exit(0);
        (void)close_range(STDERR_FILENO + 1, ~0u, 0);
        (void)alarm(timeout_sec);
        return 1;
}
