/* SPDX-License-Identifier: Apache-2.0 */
/* socket_receive_partial(): a message whose descriptors did not all arrive still says what it is about. */
#include "base/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int receive(int fd, char *data, size_t n, int *fds, size_t n_fds_max, size_t *ret_n_fds, bool *ret_lost) {
        size_t n_got;
        int r = socket_receive_partial(fd, data, n, &n_got, fds, n_fds_max, ret_n_fds, ret_lost);

        if (r == 0)
                data[n_got] = '\0';
        return r;
}

static void test_partial(void **state) {
        int pair[2], sent[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO }, got[3];
        struct rlimit limit, tight;
        char data[16];
        size_t n_fds;
        bool lost;
        int next;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);

        /* all of them */
        assert_int_equal(socket_send(pair[0], "all", 3, sent, 3, NULL), 0);
        lost = true;
        assert_int_equal(receive(pair[1], data, 15, got, 3, &n_fds, &lost), 0);
        assert_string_equal(data, "all");
        assert_int_equal(n_fds, 3);
        assert_false(lost);
        for (size_t i = 0; i < n_fds; ++i) {
                assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
                fd_close(got[i]);
        }

        /* more than there is room for */
        assert_int_equal(socket_send(pair[0], "more", 4, sent, 3, NULL), 0);
        assert_int_equal(receive(pair[1], data, 15, got, 2, &n_fds, &lost), 0);
        assert_string_equal(data, "more");
        assert_int_equal(n_fds, 2);
        assert_true(lost);
        fd_close(got[0]);
        fd_close(got[1]);

        /* socket_receive() refuses the same message */
        assert_int_equal(socket_send(pair[0], "more", 4, sent, 3, NULL), 0);
        assert_int_equal(socket_receive(pair[1], data, 15, &(size_t){ 0 }, got, 2, &n_fds), SOCKET_E_TRUNCATED);

        /* more than we may open */
        next = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        fd_close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        tight = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = limit.rlim_max };
        assert_int_equal(socket_send(pair[0], "limit", 5, sent, 3, NULL), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        assert_int_equal(receive(pair[1], data, 15, got, 3, &n_fds, &lost), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_string_equal(data, "limit");
        assert_int_equal(n_fds, 1);
        assert_true(lost);
        fd_close(got[0]);

        /* nothing was left open */
        assert_int_equal(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), next);
        fd_close(next);

        /* a packet that is too large is still no message */
        assert_int_equal(socket_send(pair[0], "0123456789", 10, NULL, 0, NULL), 0);
        assert_int_equal(receive(pair[1], data, 9, got, 3, &n_fds, &lost), SOCKET_E_TRUNCATED);

        fd_close(pair[0]);
        assert_int_equal(receive(pair[1], data, 15, got, 3, &n_fds, &lost), SOCKET_E_EOF);
        fd_close(pair[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_partial) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
