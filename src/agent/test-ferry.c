/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of carrying are data/caller.h's, tested there; here is what the process has, and when it is gone. */
#include "agent/ferry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define HELLO      "\x00\x03\x00\x00\x04\x00\x00\x00\x04\x00\x00\x00"
#define EXIT_SEVEN "\x93\x01\x00\x00\x04\x00\x00\x00\x07\x00\x00\x00"
#define OTHER      65534

static const struct ucred *ourselves(struct ucred *credentials) {
        *credentials = (struct ucred){ .pid = getpid(), .uid = geteuid(), .gid = getegid() };
        return credentials;
}

static void expect(int fd, const void *data, size_t n) {
        char got[256];

        assert_true(n <= sizeof(got));
        assert_int_equal(fd_read_full(fd, got, n), 0);
        assert_memory_equal(got, data, n);
}

static void test_call(void **state) {
        struct ucred client;
        Channel channel;
        int fds[2], error;
        struct stat status;
        char byte;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(ferry_start(fds[1], ourselves(&client), &error, &channel), 0);
        fd_close(fds[1]);
        assert_int_equal(fstat(channel.stdout_fd, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0666);
        assert_int_equal(fcntl(channel.stdout_fd, F_GETFL) & O_NONBLOCK, 0);
        /* It is nobody's child. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);

        expect(fds[0], HELLO, 12);
        assert_int_equal(fd_write_full(fds[0], HELLO, 12), 0);
        assert_int_equal(fd_write_full(channel.stdin_fd, "in", 2), 0);
        expect(fds[0], "\x90\x01\x00\x00\x02\x00\x00\x00in", 10);
        channel.stdin_fd = fd_close(channel.stdin_fd);
        expect(fds[0], "\x90\x01\x00\x00\x00\x00\x00\x00", 8);
        assert_int_equal(fd_write_full(fds[0], "\x91\x01\x00\x00\x03\x00\x00\x00out", 11), 0);
        expect(channel.stdout_fd, "out", 3);
        assert_int_equal(fd_write_full(fds[0], "\x91\x01\x00\x00\x00\x00\x00\x00", 8), 0);
        assert_int_equal(fd_write_full(fds[0], EXIT_SEVEN, 12), 0);
        expect(channel.status_fd, HELLO EXIT_SEVEN, 24);
        assert_int_equal(read(channel.status_fd, &byte, 1), 0);
        assert_int_equal(read(channel.stdout_fd, &byte, 1), 0);
        assert_int_equal(read(fds[0], &byte, 1), 0);
        channel_close(&channel);
        fd_close(fds[0]);
}

/* Who sent the next @n bytes. */
static struct ucred sender_of(int fd, size_t n) {
        union {
                struct cmsghdr header;
                char data[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        char data[64];
        struct iovec iov = { data, n };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        struct ucred sender;

        assert_int_equal(recvmsg(fd, &message, 0), n);
        assert_non_null(CMSG_FIRSTHDR(&message));
        memcpy(&sender, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(sender));
        return sender;
}

/* Nothing of what its parent has open: a pipe that it held would never end. And not the parent's account. */
static void test_what_it_has(void **state) {
        struct ucred client = { .uid = OTHER, .gid = OTHER }, ferry;
        int fds[2], others[2], error, on = 1;
        Channel channel;
        char byte;

        if (geteuid() != 0)
                skip();
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
        assert_int_equal(pipe2(others, O_CLOEXEC), 0);
        assert_int_equal(ferry_start(fds[1], &client, &error, &channel), 0);
        fd_close(fds[1]);
        ferry = sender_of(fds[0], 12);
        assert_int_equal(ferry.uid, OTHER);
        assert_int_equal(ferry.gid, OTHER);
        fd_close(others[1]);
        assert_int_equal(read(others[0], &byte, 1), 0);
        fd_close(others[0]);

        /* When the client goes away it does, too, whatever the callee does. */
        assert_int_equal(fd_write_full(fds[0], HELLO, 12), 0);
        channel_close(&channel);
        while (read(fds[0], &byte, 1) > 0)
                ;
        fd_close(fds[0]);
}

static void test_no_descriptors(void **state) {
        struct rlimit before, none;
        struct ucred client;
        Channel channel = { 7, 8, 9 };
        int fds[2], error = 0;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        /* For each of the six that it needs. */
        for (int i = 1; i <= 6; ++i) {
                none = (struct rlimit){ .rlim_cur = (rlim_t)(fds[1] + i), .rlim_max = before.rlim_max };
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
                assert_int_equal(ferry_start(fds[1], ourselves(&client), &error, &channel), FERRY_E_FAILED);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
                assert_int_equal(error, EMFILE);
                assert_int_equal(channel.status_fd, 7);
                /* And none is left behind. */
                assert_int_equal(dup(fds[1]), fds[1] + 1);
                fd_close(fds[1] + 1);
        }
        fd_close(fds[0]);
        fd_close(fds[1]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_call),
                cmocka_unit_test(test_what_it_has),
                cmocka_unit_test(test_no_descriptors),
        };

        (void)alarm(60);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
