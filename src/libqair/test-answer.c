/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"
#include "libqair/answer.h"
#include "wire/header.h"

static void pair(int ret_fds[2]) {
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds), errno);
}

/* Whether the broker read the request before it went away decides whether another may be asked. */
static void test_unread(void **state) {
        static const struct {
                const char *name;
                bool is_read;
                const char *said;
                int expect;
        } cases[] = {
                { "read, no answer", true, "", ANSWER_E_END },
                { "unread, no answer", false, "", ANSWER_E_RESET },
                { "unread, half an answer", false, "abc", ANSWER_E_RESET },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                size_t n = strlen(cases[i].said);
                Answer answer = ANSWER_INIT;
                char byte;
                int fds[2], r;

                pair(fds);
                assert_int_equal(write(fds[1], "x", 1), 1);
                if (cases[i].is_read)
                        assert_int_equal(read(fds[0], &byte, 1), 1);
                if (n > 0) {
                        assert_int_equal(write(fds[0], cases[i].said, n), n);
                        assert_int_equal(answer_receive(&answer, fds[1], 8, true), 0);
                }
                fd_close(fds[0]);
                r = answer_receive(&answer, fds[1], 8, true);
                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                fd_close(fds[1]);
        }
}

static void test_pieces(void **state) {
        Answer answer = ANSWER_INIT;
        int fds[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        pair(fds);
        assert_int_equal(socket_send(fds[0], "abc", 3, &null, 1, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8, true), 0);
        assert_int_equal(answer.n, 3);
        assert_int_equal(answer.n_fds, 1);
        assert_true(fcntl(answer.fds[0], F_GETFD) & FD_CLOEXEC);

        /* No byte more than asked for is taken. */
        assert_int_equal(socket_send(fds[0], "defghXYZ", 8, NULL, 0, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8, true), 0);
        assert_int_equal(answer.n, 8);
        assert_memory_equal(answer.data, "abcdefgh", 8);
        assert_int_equal(answer_receive(&answer, fds[1], 11, true), 0);
        assert_memory_equal(answer.data, "abcdefghXYZ", 11);
        fd_close(fds[0]);
        assert_int_equal(answer_receive(&answer, fds[1], 16, true), ANSWER_E_END);
        answer_deinit(&answer);
        assert_int_equal(answer.n_fds, 0);
        fd_close(fds[1]);
        fd_close(null);
}

static void test_too_many(void **state) {
        int fds[2], null[3];
        Answer answer = ANSWER_INIT;

        null[0] = null[1] = null[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        pair(fds);
        assert_int_equal(socket_send(fds[0], "ab", 2, null, 3, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8, true), 0);
        assert_int_equal(answer.n_fds, 3);

        /* One more on a later byte is one too many, too. */
        assert_int_equal(socket_send(fds[0], "c", 1, null, 1, NULL), 0);
        assert_int_equal(answer_receive(&answer, fds[1], 8, true), ANSWER_E_BROKEN);
        answer_deinit(&answer);
        assert_int_equal(answer.n_fds, 0);
        fd_close(fds[0]);
        fd_close(fds[1]);
        fd_close(null[0]);
}

static void test_channel(void **state) {
        static const struct {
                const char *name;
                uint32_t mode;
                size_t n_fds;
                int expect;
        } cases[] = {
                { "framed", WIRE_DOMAIN_FRAMED, 1, 0 },
                { "framed without a descriptor", WIRE_DOMAIN_FRAMED, 0, ANSWER_E_BROKEN },
                { "framed with two", WIRE_DOMAIN_FRAMED, 2, ANSWER_E_BROKEN },
                { "direct", WIRE_DOMAIN_DIRECT, 3, 0 },
                { "direct with one", WIRE_DOMAIN_DIRECT, 1, ANSWER_E_BROKEN },
                { "direct with two", WIRE_DOMAIN_DIRECT, 2, ANSWER_E_BROKEN },
                { "a domain", 43, 1, ANSWER_E_BROKEN },
                { "refused", WIRE_DOMAIN_REFUSED, 1, ANSWER_E_BROKEN },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
                Answer answer = { .n_fds = cases[i].n_fds, .fds = { 1001, 1002, 1003 } };
                Channel channel = CHANNEL_INIT;
                int r = answer_take_channel(&answer, cases[i].mode, &channel);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (answer.n_fds != (r ? cases[i].n_fds : 0))
                        fail_msg("%s: %zu descriptors are left in the answer", cases[i].name, answer.n_fds);
                if (r)
                        continue;
                assert_int_equal(channel.stream_fd, 1001);
                assert_int_equal(channel.stdin_fd, cases[i].n_fds == 3 ? 1002 : -1);
                assert_int_equal(channel.stdout_fd, cases[i].n_fds == 3 ? 1003 : -1);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unread),
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_channel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
