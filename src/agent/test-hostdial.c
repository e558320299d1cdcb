/* SPDX-License-Identifier: Apache-2.0 */
/* A connection is made in test/vsock/, by a guest; here is what goes wrong, of which the kernel says the same everywhere. */
#include "agent/hostdial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "vchan/vsock.h"

/* A port that is taken, anybody's, and for which no daemon of a host looks. */
static int take_port(uint32_t *ret_port) {
        int error = 0, fd, r;

        *ret_port = 50000;
        while ((r = vsock_listen(*ret_port, &error, &fd)) == VSOCK_E_TAKEN)
                ++*ret_port;
        if (r)
                skip(); /* no vsock in this kernel */
        return fd;
}

static void test_taken(void **state) {
        uint32_t port;
        int taken_fd = take_port(&port), fd = -7, error = 0;
        HostDial dial = HOST_DIAL_INIT(port, 1, 100000);

        assert_true(host_dial_due(&dial) == 0);
        assert_int_equal(host_dial_run(&dial, 1000, &error, &fd), HOST_DIAL_E_PROGRESS);
        assert_int_equal(dial.fd, -1);
        assert_true(host_dial_due(&dial) == 1000 + HOST_DIAL_PAUSE_USEC);
        /* Not before it is time, though the port is free. */
        fd_close(taken_fd);
        assert_int_equal(host_dial_run(&dial, 999 + HOST_DIAL_PAUSE_USEC, &error, &fd), HOST_DIAL_E_PROGRESS);
        assert_int_equal(dial.fd, -1);
        assert_true(host_dial_due(&dial) == 1000 + HOST_DIAL_PAUSE_USEC);
        assert_int_equal(error, 0);
        assert_int_equal(fd, -7);
        host_dial_deinit(&dial);
        host_dial_deinit(&dial);
}

static void test_taken_for_good(void **state) {
        uint32_t port;
        int taken_fd = take_port(&port), fd = -7, error = 0;
        HostDial dial = HOST_DIAL_INIT(port, 1, 1000 + HOST_DIAL_PAUSE_USEC / 2);

        assert_int_equal(host_dial_run(&dial, 1000, &error, &fd), HOST_DIAL_E_PROGRESS);
        assert_true(host_dial_due(&dial) == 1000 + HOST_DIAL_PAUSE_USEC / 2);
        assert_int_equal(host_dial_run(&dial, 1000 + HOST_DIAL_PAUSE_USEC / 2, &error, &fd), HOST_DIAL_E_FAILED);
        assert_int_equal(error, EADDRINUSE);
        assert_int_equal(fd, -7);
        fd_close(taken_fd);
}

static void test_taken_late(void **state) {
        uint32_t port;
        int taken_fd = take_port(&port), fd = -7, error = 0;
        HostDial dial = HOST_DIAL_INIT(port, 1, 0);

        /* It tries once at least. */
        assert_int_equal(host_dial_run(&dial, 1000, &error, &fd), HOST_DIAL_E_FAILED);
        assert_int_equal(error, EADDRINUSE);
        fd_close(taken_fd);
}

static void test_wait(void **state) {
        uint64_t begin_usec = clock_now();
        uint32_t port;
        int taken_fd = take_port(&port), fd = -7, error = 0;
        HostDial dial = HOST_DIAL_INIT(port, 1, begin_usec + 2 * HOST_DIAL_PAUSE_USEC);

        assert_int_equal(host_dial_wait(&dial, &error, &fd), HOST_DIAL_E_FAILED);
        assert_int_equal(error, EADDRINUSE);
        assert_true(clock_now() - begin_usec >= 2 * HOST_DIAL_PAUSE_USEC);
        assert_int_equal(fd, -7);
        fd_close(taken_fd);
}

/* Who is not root has no port of root's: so nobody is dialled here, not even where this machine is a guest itself. */
static void test_not_root(void **state) {
        HostDial dial = HOST_DIAL_INIT(768, 1, clock_now() + 100 * USEC_PER_SEC);
        bool is_root = geteuid() == 0;
        int fd = -7, error = 0, r;

        if (is_root)
                assert_int_equal(seteuid(65534), 0);
        r = host_dial_wait(&dial, &error, &fd);
        if (is_root)
                assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, HOST_DIAL_E_FAILED);
        assert_true(error == EACCES || error == EAFNOSUPPORT);
        assert_int_equal(fd, -7);
        assert_int_equal(dial.fd, -1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_taken), cmocka_unit_test(test_taken_for_good), cmocka_unit_test(test_taken_late),
                cmocka_unit_test(test_wait),  cmocka_unit_test(test_not_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
