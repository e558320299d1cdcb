/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

static void interrupt(int number) {
}

/* A child that interrupts our wait, if it has begun, and then ends; by a signal if @number is one. */
static pid_t start(int status, int number) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void)kill(getppid(), SIGUSR1);
        if (number > 0)
                (void)kill(getpid(), number);
        _exit(status);
}

static void test_wait(void **state) {
        struct sigaction action = { .sa_handler = interrupt };
        pid_t pid;

        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        assert_int_equal(process_wait(start(0, 0)), 0);
        assert_int_equal(process_wait(start(255, 0)), 255);
        pid = start(0, SIGKILL);
        assert_int_equal(process_wait(pid), 128 + SIGKILL);
        assert_int_equal(process_wait(pid), -ECHILD);
}

static void test_fork(void **state) {
        struct pollfd poll_fd = { .events = POLLIN };
        siginfo_t info = {};
        pid_t pid;

        pid = process_fork(&poll_fd.fd);
        if (pid == 0)
                _exit(7);
        assert_true(pid > 0);
        assert_int_equal(poll(&poll_fd, 1, -1), 1);
        assert_int_equal(waitid(P_PIDFD, (id_t)poll_fd.fd, &info, WEXITED), 0);
        assert_int_equal(info.si_pid, pid);
        assert_int_equal(info.si_status, 7);
        fd_close(poll_fd.fd);
}

static void test_fork_without_room(void **state) {
        struct rlimit limit, none;
        int next_fd, pidfd = 4711;
        pid_t pid;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        next_fd = dup(STDIN_FILENO);
        assert_true(next_fd >= 0);
        fd_close(next_fd);
        none = (struct rlimit){ .rlim_cur = (rlim_t)next_fd, .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        pid = process_fork(&pidfd);
        if (pid == 0)
                _exit(0);
        assert_int_equal(pid, -1);
        assert_int_equal(errno, EMFILE);
        assert_int_equal(pidfd, 4711);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        /* There never was one. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

static void test_kill(void **state) {
        int pidfd;
        pid_t pid;

        pid = process_fork(&pidfd);
        if (pid == 0)
                for (;;)
                        (void)pause();
        assert_true(pid > 0);
        process_kill(pidfd);
        assert_int_equal(process_wait(pid), -ECHILD);
        process_kill(pidfd);
        fd_close(pidfd);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wait),
                cmocka_unit_test(test_fork),
                cmocka_unit_test(test_fork_without_room),
                cmocka_unit_test(test_kill),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
