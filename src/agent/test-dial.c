/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to real sockets, of any path length, and in bounded time. */
#include "agent/dial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/socket.h"

#define LONG_NAME \
        "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long"

static int listen_unix(const char *path, int backlog) {
        struct sockaddr_un address;
        socklen_t n_address;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(socket_address(path, &address, &n_address), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(listen(fd, backlog), 0);
        return fd;
}

static int dial_unix(const char *path, uint64_t limit_usec, int *reterr_errno, int *ret_fd) {
        DialAddress address;
        int r;

        r = dial_address_unix(path, reterr_errno, &address);
        if (r)
                return r;
        r = dial_wait(&address, limit_usec, reterr_errno, ret_fd);
        dial_address_deinit(&address);
        return r;
}

static int dial_tcp(const TcpAddress *tcp, uint64_t limit_usec, int *reterr_errno, int *ret_fd) {
        DialAddress address;
        int r;

        r = dial_address_tcp(tcp, reterr_errno, &address);
        if (r)
                return r;
        r = dial_wait(&address, limit_usec, reterr_errno, ret_fd);
        dial_address_deinit(&address);
        return r;
}

static void check_connected(int listener, int fd) {
        int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        char byte;

        assert_true(accepted >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(read(accepted, &byte, 1), 1);
        fd_close(accepted);
        fd_close(fd);
}

static void test_unix(void **state) {
        char folder[] = "/tmp/test-dial.XXXXXX", path[64], deep[512], deep_path[1024];
        int listener, fd, error = 0;

        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/socket", folder);
        assert_int_equal(dial_unix(path, USEC_PER_SEC, &error, &fd), DIAL_E_FAILED);
        assert_int_equal(error, ENOENT);

        listener = listen_unix(path, 5);
        assert_int_equal(dial_unix(path, USEC_PER_SEC, &error, &fd), 0);
        check_connected(listener, fd);

        /* The same socket by a path that does not fit sun_path, with a last part that does not fit either. */
        snprintf(deep, sizeof(deep), "%s/" LONG_NAME, folder);
        assert_int_equal(mkdir(deep, 0755), 0);
        snprintf(deep_path, sizeof(deep_path), "%s/" LONG_NAME, deep);
        assert_int_equal(link(path, deep_path), 0);
        assert_int_equal(dial_unix(deep_path, USEC_PER_SEC, &error, &fd), 0);
        check_connected(listener, fd);

        fd_close(listener);
        assert_int_equal(dial_unix(deep_path, USEC_PER_SEC, &error, &fd), DIAL_E_FAILED);
        assert_int_equal(error, ECONNREFUSED);
        assert_int_equal(unlink(deep_path), 0);
        assert_int_equal(dial_unix(deep_path, USEC_PER_SEC, &error, &fd), DIAL_E_FAILED);
        assert_int_equal(error, ENOENT);

        unlink(path);
        rmdir(deep);
        assert_int_equal(rmdir(folder), 0);
}

static void test_full_backlog(void **state) {
        char folder[] = "/tmp/test-dial.XXXXXX", path[64];
        int listener, fd, waiting[16], error = 0, r = 0;
        size_t n = 0;

        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/socket", folder);
        listener = listen_unix(path, 1);
        while (n < ARRAY_SIZE(waiting) && r == 0) {
                r = dial_unix(path, 50 * USEC_PER_MSEC, &error, &fd);
                if (r == 0)
                        waiting[n++] = fd;
        }
        assert_int_equal(r, DIAL_E_FAILED);
        assert_int_equal(error, ETIMEDOUT);
        assert_true(n > 0);
        while (n > 0)
                fd_close(waiting[--n]);
        fd_close(listener);
        unlink(path);
        rmdir(folder);
}

static void test_tcp(void **state) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        TcpAddress target = { .family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK) };
        TcpAddress nowhere = { .family = AF_INET6, .port = 1, .scope = "no-such-if" };
        socklen_t n_address = sizeof(address);
        int listener, fd, error = 0;

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n_address), 0);
        target.port = ntohs(address.sin_port);

        assert_int_equal(dial_tcp(&target, USEC_PER_SEC, &error, &fd), DIAL_E_FAILED);
        assert_int_equal(error, ECONNREFUSED);
        assert_int_equal(listen(listener, 5), 0);
        assert_int_equal(dial_tcp(&target, USEC_PER_SEC, &error, &fd), 0);
        check_connected(listener, fd);
        assert_int_equal(dial_tcp(&nowhere, USEC_PER_SEC, &error, &fd), DIAL_E_FAILED);
        assert_int_equal(error, ENODEV);
        fd_close(listener);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unix),
                cmocka_unit_test(test_full_backlog),
                cmocka_unit_test(test_tcp),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
