/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "client/answer.h"

static void pair(int ret_fds[2]) {
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds), errno);
}

static void test_pieces(void **state) {
        Answer answer = ANSWER_INIT;
        int fds[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        pair(fds);
        assert_int_equal(socket_send(fds[0], "abc", 3, &null, 1, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8), 0);
        assert_int_equal(answer.n, 3);
        assert_true(answer.fd >= 0);
        assert_true(fcntl(answer.fd, F_GETFD) & FD_CLOEXEC);

        /* No byte more than asked for is taken. */
        assert_int_equal(socket_send(fds[0], "defghXYZ", 8, NULL, 0, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8), 0);
        assert_int_equal(answer.n, 8);
        assert_memory_equal(answer.data, "abcdefgh", 8);
        assert_int_equal(answer_receive(&answer, fds[1], 11), 0);
        assert_memory_equal(answer.data, "abcdefghXYZ", 11);
        fd_close(fds[0]);
        assert_int_equal(answer_receive(&answer, fds[1], 16), ANSWER_E_END);
        answer_deinit(&answer);
        assert_int_equal(answer.fd, -1);
        fd_close(fds[1]);
        fd_close(null);
}

static void test_too_many(void **state) {
        int fds[2], null[2];
        Answer answer = ANSWER_INIT;

        null[0] = null[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        pair(fds);
        assert_int_equal(socket_send(fds[0], "ab", 2, null, 2, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8), ANSWER_E_BROKEN);
        assert_int_equal(answer.fd, -1);

        /* One after the other is one too many, too. */
        assert_int_equal(socket_send(fds[0], "a", 1, null, 1, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8), 0);
        assert_int_equal(socket_send(fds[0], "b", 1, null, 1, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8), ANSWER_E_BROKEN);
        answer_deinit(&answer);
        fd_close(fds[0]);
        fd_close(fds[1]);
        fd_close(null[0]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_too_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
