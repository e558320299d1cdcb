/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

static bool fd_is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

static void test_fd_close(void **state) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        errno = EXDEV;
        assert_int_equal(fd_close(fd), -1);
        assert_false(fd_is_open(fd));
        errno = EXDEV;
        assert_int_equal(fd_close(-1), -1);
        assert_int_equal(fd_close(fd), -1); /* EBADF does not show either */
        assert_int_equal(errno, EXDEV);
}

static void test_cleanup_and_steal(void **state) {
        int closed, stolen;

        {
                _cleanup_fd_ int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
                _cleanup_fd_ int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
                _cleanup_fd_ int none = -1;

                closed = a;
                stolen = fd_steal(&b);
                assert_int_equal(b, -1);
                assert_int_equal(none, -1);
        }
        assert_false(fd_is_open(closed));
        assert_true(fd_is_open(stolen));
        close(stolen);
}

static void test_flags(void **state) {
        _cleanup_fd_ int fd = open("/dev/null", O_RDWR | O_APPEND);

        assert_int_equal(fd_set_nonblocking(fd, true), 0);
        assert_int_equal(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND), O_NONBLOCK | O_APPEND);
        assert_int_equal(fd_set_nonblocking(fd, true), 0);
        assert_int_equal(fd_set_nonblocking(fd, false), 0);
        assert_int_equal(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND), O_APPEND);

        assert_int_equal(fd_set_cloexec(fd, true), 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fd_set_cloexec(fd, false), 0);
        assert_int_equal(fcntl(fd, F_GETFD), 0);

        assert_int_equal(fd_set_nonblocking(-1, true), -EBADF);
        assert_int_equal(fd_set_cloexec(-1, true), -EBADF);
}

static bool fd_is_null(int fd) {
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Each subset of {0, 1, 2} closed, in a child: those become /dev/null, the others stay what they were. */
static void test_ensure_standard(void **state) {
        for (int closed = 0; closed < 8; ++closed) {
                pid_t pid = fork();
                int status;

                assert_true(pid >= 0);
                if (pid == 0) {
                        int fds[2];

                        if (pipe(fds) < 0)
                                _exit(10);
                        for (int fd = 0; fd <= 2; ++fd)
                                if (closed & (1 << fd))
                                        close(fd);
                                else if (dup2(fds[0], fd) < 0)
                                        _exit(11);
                        if (fd_ensure_standard() != 0)
                                _exit(12);
                        for (int fd = 0; fd <= 2; ++fd)
                                if (!fd_is_open(fd) || fd_is_null(fd) != !!(closed & (1 << fd)) ||
                                    fcntl(fd, F_GETFD) != 0)
                                        _exit(20 + fd);
                        _exit(0);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                        fail_msg("closed descriptors %#x: wait status %#x", (unsigned)closed, (unsigned)status);
        }
}

static void test_read_full(void **state) {
        int fds[2];
        char data[8] = "";

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        /* Packets: each read() yields one, so that several are needed. */
        assert_int_equal(write(fds[1], "abc", 3), 3);
        assert_int_equal(write(fds[1], "de", 2), 2);
        assert_int_equal(write(fds[1], "fg", 2), 2);
        assert_int_equal(fd_read_full(fds[0], data, 5), 0);
        assert_memory_equal(data, "abcde", 5);
        assert_int_equal(fd_read_full(fds[0], data, 0), 0);

        close(fds[1]);
        assert_int_equal(fd_read_full(fds[0], data, 3), FD_E_EOF); /* two bytes, then the end */
        assert_int_equal(fd_read_full(fds[0], data, 1), FD_E_EOF);
        close(fds[0]);
        assert_int_equal(fd_read_full(-1, data, 1), -EBADF);
}

/* More than a pipe holds, so that write() must be called more than once, while a child reads. */
static void test_write_full(void **state) {
        enum { SIZE = 1 << 20 };
        static char data[SIZE];
        int fds[2], status;
        pid_t pid;

        for (size_t i = 0; i < SIZE; ++i)
                data[i] = (char)(i * 31 >> 3);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                static char copy[SIZE];
                char more;

                close(fds[1]);
                if (fd_read_full(fds[0], copy, SIZE) != 0 || memcmp(copy, data, SIZE) != 0)
                        _exit(1);
                _exit(fd_read_full(fds[0], &more, 1) == FD_E_EOF ? 0 : 2);
        }
        close(fds[0]);
        assert_int_equal(fd_write_full(fds[1], data, SIZE), 0);
        close(fds[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void test_read_all(void **state) {
        static const struct {
                const char *name;
                size_t n, n_max;
                int expect;
        } cases[] = {
                { "nothing", 0, 10, 0 },
                { "nothing of nothing", 0, 0, 0 },
                { "one byte of none", 1, 0, FD_E_TOO_LONG },
                { "all that is allowed", 10, 10, 0 },
                { "one byte more", 11, 10, FD_E_TOO_LONG },
                { "one read and no more", 4096, 4096, 0 },
                { "one byte over the first read", 4097, 100000, 0 },
                { "many reads", 60000, 60000, 0 },
                { "many reads and one byte", 60001, 60000, FD_E_TOO_LONG },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                static char data[65536];
                char *copy = NULL;
                size_t n = 0;
                int fds[2], r;

                memset(data, 'x', cases[i].n);
                assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
                assert_int_equal(fd_write_full(fds[1], data, cases[i].n), 0);
                close(fds[1]);
                r = fd_read_all(fds[0], cases[i].n_max, &copy, &n);
                close(fds[0]);
                if (r != cases[i].expect || (r == 0 && (n != cases[i].n || strspn(copy, "x") != n)) || (r != 0 && copy))
                        fail_msg("%s: got %d, %zu bytes", cases[i].name, r, n);
                free(copy);
        }
        assert_int_equal(fd_read_all(-1, 1, &(char *){ NULL }, &(size_t){ 0 }), -EBADF);
}

static void test_write_full_to_nobody(void **state) {
        int fds[2];

        signal(SIGPIPE, SIG_IGN);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        close(fds[0]);
        assert_int_equal(fd_write_full(fds[1], "x", 1), -EPIPE);
        assert_int_equal(fd_write_full(fds[1], "", 0), 0);
        close(fds[1]);
}

static void test_close_all(void **state) {
        static const struct {
                const char *name;
                size_t n;
                int offsets[4]; /* from the first of six neighbours; -1: none */
                unsigned closed;
        } cases[] = {
                { "none", 0, {}, 0x00 },
                { "one", 1, { 2 }, 0x04 },
                { "neighbours", 3, { 1, 2, 3 }, 0x0e },
                { "neighbours in disorder", 4, { 4, 2, 5, 3 }, 0x3c },
                { "a stranger between", 3, { 0, 1, 3 }, 0x0b },
                { "strangers on both sides", 2, { 1, 4 }, 0x12 },
                { "one that is none", 3, { 0, -1, 1 }, 0x03 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int first = 200, fds[4];

                for (int k = 0; k < 6; ++k)
                        assert_int_equal(dup2(STDERR_FILENO, first + k), first + k);
                for (size_t k = 0; k < cases[i].n; ++k)
                        fds[k] = cases[i].offsets[k] < 0 ? -1 : first + cases[i].offsets[k];
                errno = EXDEV;
                fd_close_all(fds, cases[i].n);
                assert_int_equal(errno, EXDEV);
                for (int k = 0; k < 6; ++k) {
                        bool is_open = fcntl(first + k, F_GETFD) >= 0;

                        if (is_open != !(cases[i].closed >> k & 1))
                                fail_msg("%s: descriptor %d is %s", cases[i].name, k, is_open ? "open" : "closed");
                        fd_close(first + k);
                }
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fd_close),   cmocka_unit_test(test_cleanup_and_steal),
                cmocka_unit_test(test_flags),      cmocka_unit_test(test_ensure_standard),
                cmocka_unit_test(test_read_full),  cmocka_unit_test(test_read_all),
                cmocka_unit_test(test_write_full), cmocka_unit_test(test_write_full_to_nobody),
                cmocka_unit_test(test_close_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
