/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

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

int main(void) {
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_wait) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
