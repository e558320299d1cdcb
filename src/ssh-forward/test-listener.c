/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "ssh-forward/listener.h"

static char folder[] = "/tmp/test-listener-XXXXXX";
static char path[PATH_MAX];

static int set_up(void **state) {
        assert_non_null(mkdtemp(folder));
        (void)snprintf(path, sizeof(path), "%s/ssh/S.ssh-agent", folder);
        return 0;
}

static int tear_down(void **state) {
        (void)unlink(path);
        *strrchr(path, '/') = '\0';
        assert_int_equal(rmdir(path), 0);
        return rmdir(folder);
}

static void test_life_of_a_path(void **state) {
        struct stat st;
        int fd, again, client;

        assert_int_equal(listener_open(path, &fd), 0);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode, S_IFSOCK | 0600);
        assert_int_equal(socket_connect(path, SOCK_STREAM, &client), 0);
        fd_close(client);
        /* Taken. */
        assert_int_equal(listener_open(path, &again), LISTENER_E_FAILED);
        /* Left behind. */
        fd_close(fd);
        assert_int_equal(listener_open(path, &fd), 0);
        assert_int_equal(socket_connect(path, SOCK_STREAM, &client), 0);
        fd_close(client);
        fd_close(fd);
        assert_int_equal(unlink(path), 0);
        /* Somebody's file. */
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        fd_close(fd);
        assert_int_equal(listener_open(path, &again), LISTENER_E_FAILED);
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(unlink(path), 0);
        /* Nobody's folder. */
        assert_int_equal(listener_open("/nonexistent/ssh/S.ssh-agent", &again), LISTENER_E_FAILED);
}

static void test_too_long(void **state) {
        char text[200];
        int fd;

        memset(text, 'x', sizeof(text) - 1);
        text[0] = '/';
        text[sizeof(text) - 1] = '\0';
        assert_int_equal(listener_open(text, &fd), LISTENER_E_FAILED);
}

/* In a child, as the process that the service manager started: with @fd as descriptor 3. Return: the fd, or -1000 - r */
static int take(int fd, const char *n, bool mine) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
                char pid[16];
                int r, taken = -2;

                (void)snprintf(pid, sizeof(pid), "%d", mine ? getpid() : getpid() + 1);
                if (setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDS", n, 1) < 0)
                        _exit(100);
                if (fd == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(fd, 3) < 0)
                        _exit(101);
                r = listener_take(&taken);
                if (getenv("LISTEN_FDS") || (!r && taken == 3 && !(fcntl(3, F_GETFD) & FD_CLOEXEC)))
                        _exit(102);
                _exit(r ? 50 + r : taken == -1 ? 10 : taken);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_passed(void **state) {
        int fd, stream;

        assert_int_equal(listener_open(path, &fd), 0);
        assert_int_equal(take(fd, "1", true), 3);
        assert_int_equal(take(fd, "1", false), 10);
        assert_int_equal(take(fd, "0", true), 10);
        assert_int_equal(take(fd, "x", true), 10);
        assert_int_equal(take(fd, "2", true), 50 + LISTENER_E_FAILED);
        assert_int_equal(socket_connect(path, SOCK_STREAM, &stream), 0);
        assert_int_equal(take(stream, "1", true), 50 + LISTENER_E_FAILED);
        fd_close(stream);
        fd_close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life_of_a_path),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_passed),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
