/* SPDX-License-Identifier: Apache-2.0 */
/* A real TCP socket that lingers, sent through a real Unix socket that takes descriptors. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/watchdog.h"

#define LINGER_SECONDS 3

/* A connection with unsent data and a peer that does not read: closing it waits for LINGER_SECONDS. */
static int make_lingering(int *ret_peer) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n_address = sizeof(address);
        struct linger linger = { .l_onoff = 1, .l_linger = LINGER_SECONDS };
        static char data[1 << 20];
        int listener, fd, small = 4096;

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n_address), 0);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, n_address), 0);
        *ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(*ret_peer >= 0);
        fd_close(listener);
        while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
                ;
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
        return fd;
}

static void test_barks_at_lingering_descriptor(void **state) {
        Watchdog *watchdog;
        int fds[2], lingering, peer, r;
        uint64_t start;
        char byte;
        size_t n;

        assert_int_equal(watchdog_new(&watchdog), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        lingering = make_lingering(&peer);
        assert_int_equal(socket_send(fds[1], "x", 1, &lingering, 1, NULL), 0);
        fd_close(lingering); /* ours was not the last: the message holds it */

        start = clock_now();
        watchdog_arm(watchdog);
        r = socket_receive(fds[0], &byte, 1, &n, NULL, 0, NULL);
        assert_true(watchdog_disarm(watchdog));
        assert_int_equal(r, 0);
        /* Not a measurement: half of what the kernel would have waited for, and a hundred times the watchdog's time. */
        assert_true(clock_now() - start < LINGER_SECONDS * USEC_PER_SEC / 2);

        fd_close(peer);
        fd_close(fds[0]);
        fd_close(fds[1]);
        watchdog_free(watchdog);
}

static void test_is_quiet(void **state) {
        Watchdog *watchdog;
        int fds[2];
        char byte;
        size_t n;

        assert_int_equal(watchdog_new(&watchdog), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        watchdog_arm(watchdog);
        assert_int_equal(socket_receive(fds[0], &byte, 1, &n, NULL, 0, NULL), 0);
        assert_false(watchdog_disarm(watchdog));
        fd_close(fds[0]);
        fd_close(fds[1]);
        watchdog_free(watchdog);

        watchdog_arm(NULL);
        assert_false(watchdog_disarm(NULL));
        assert_null(watchdog_free(NULL));
}

/* Of a busy machine: the time is over, and nothing was waited for. */
static void test_slow_is_not_waiting(void **state) {
        Watchdog *watchdog;
        uint64_t start;

        assert_int_equal(watchdog_new(&watchdog), 0);
        watchdog_arm(watchdog);
        for (start = clock_now(); clock_now() - start < UINT64_C(3) * WATCHDOG_USEC;)
                ;
        assert_false(watchdog_disarm(watchdog));
        watchdog_free(watchdog);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_barks_at_lingering_descriptor),
                cmocka_unit_test(test_is_quiet),
                cmocka_unit_test(test_slow_is_not_waiting),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
