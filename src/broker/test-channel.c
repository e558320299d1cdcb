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
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "broker/channel.h"
#include "wire/header.h"

static void expect_through(int from, int to) {
        char byte = 'x';

        assert_int_equal(write(from, &byte, 1), 1);
        byte = 0;
        assert_int_equal(read(to, &byte, 1), 1);
        assert_int_equal(byte, 'x');
}

static void test_framed(void **state) {
        Channel channel = {};

        assert_int_equal(channel_open(&channel, WIRE_DOMAIN_FRAMED), 0);
        assert_int_equal(channel.n_fds, 1);
        expect_through(channel.agent_fds[0], channel.origin_fds[0]);
        expect_through(channel.origin_fds[0], channel.agent_fds[0]);
        channel_close(&channel);
        assert_int_equal(channel.n_fds, 0);
        channel_close(&channel);
}

static void test_direct(void **state) {
        Channel channel = {};
        char byte, path[64];
        int fd;

        assert_int_equal(channel_open(&channel, WIRE_DOMAIN_DIRECT), 0);
        assert_int_equal(channel.n_fds, 3);
        for (size_t i = 0; i < channel.n_fds; ++i) {
                assert_true(fcntl(channel.agent_fds[i], F_GETFD) & FD_CLOEXEC);
                assert_true(fcntl(channel.origin_fds[i], F_GETFD) & FD_CLOEXEC);
        }
        expect_through(channel.origin_fds[1], channel.agent_fds[1]);
        expect_through(channel.agent_fds[2], channel.origin_fds[2]);

        /* The status stream is one way. */
        expect_through(channel.agent_fds[0], channel.origin_fds[0]);
        assert_int_equal(send(channel.origin_fds[0], "x", 1, MSG_NOSIGNAL), -1);
        assert_int_equal(errno, EPIPE);

        /* Flags of one end are not those of the other. */
        assert_int_equal(fcntl(channel.origin_fds[2], F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(fcntl(channel.agent_fds[2], F_GETFL) & O_NONBLOCK, 0);

        /* Whoever has a pipe may open it once more, whatever account that is. */
        for (size_t i = 1; i < channel.n_fds; ++i) {
                struct stat status;

                assert_int_equal(fstat(channel.agent_fds[i], &status), 0);
                assert_int_equal(status.st_mode & 07777, 0666);
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d", channel.agent_fds[2]);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        expect_through(fd, channel.origin_fds[2]);
        close(fd);

        /* The end of one side is the end that the other sees. */
        close(channel.agent_fds[2]);
        assert_int_equal(read(channel.origin_fds[2], &byte, 1), 0);
        channel.agent_fds[2] = dup(channel.agent_fds[0]);
        channel_close(&channel);
}

static void test_out_of_descriptors(void **state) {
        struct rlimit before, fewer;
        int lowest = dup(0);

        assert_true(lowest >= 0);
        close(lowest);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (rlim_t room = 0; room < 6; ++room) {
                Channel channel = {};
                int r, next;

                fewer = (struct rlimit){ .rlim_cur = (rlim_t)lowest + room, .rlim_max = before.rlim_max };
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &fewer), 0);
                r = channel_open(&channel, WIRE_DOMAIN_DIRECT);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
                assert_int_equal(r, CHANNEL_E_LIMIT);
                assert_int_equal(channel.n_fds, 0);

                /* Nothing is left open. */
                next = dup(0);
                assert_int_equal(next, lowest);
                close(next);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_framed),
                cmocka_unit_test(test_direct),
                cmocka_unit_test(test_out_of_descriptors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
