/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "test-peer.h"

#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "data/status.h"
#include "wire/header.h"

static void expect_hello(int fd) {
        static const uint8_t version[] = { 4, 0, 0, 0 };

        peer_expect(fd, WIRE_TYPE_HELLO, version, sizeof(version));
}

static void test_messages(void **state) {
        DataStatus status = DATA_STATUS_INIT;
        uint8_t chunk[DATA_STATUS_CHUNK_MAX + 1];
        int fds[2];

        memset(chunk, 'x', sizeof(chunk));
        socket_pair(fds);
        status.fd = fds[1];
        assert_true(data_status_has_room(&status));
        assert_int_equal(data_status_stderr(&status, "oops", 4), 0);
        assert_int_equal(data_status_stderr(&status, chunk, DATA_STATUS_CHUNK_MAX), 0);
        assert_true(data_status_stderr(&status, chunk, DATA_STATUS_CHUNK_MAX + 1) < 0);
        assert_int_equal(data_status_exit(&status, 42), 0);
        data_status_deinit(&status);
        data_status_deinit(&status);

        expect_hello(fds[0]);
        peer_expect_text(fds[0], WIRE_TYPE_DATA_STDERR, "oops");
        peer_expect(fds[0], WIRE_TYPE_DATA_STDERR, chunk, DATA_STATUS_CHUNK_MAX);
        peer_expect_exit(fds[0], 42);
        peer_expect_closed(fds[0]);
        fd_close(fds[0]);
}

/* HELLO comes with whatever is the first message. */
static void test_exit_alone(void **state) {
        DataStatus status = DATA_STATUS_INIT;
        int fds[2];

        socket_pair(fds);
        status.fd = fds[1];
        assert_int_equal(data_status_exit(&status, 255), 0);
        data_status_deinit(&status);
        expect_hello(fds[0]);
        peer_expect_exit(fds[0], 255);
        peer_expect_closed(fds[0]);
        fd_close(fds[0]);
}

static void test_full(void **state) {
        static uint8_t data[65536];
        DataStatus status = DATA_STATUS_INIT;
        uint8_t chunk[DATA_STATUS_CHUNK_MAX];
        size_t n_sent = 0, n_got = 0, n;
        uint32_t type;
        int fds[2], r;

        memset(chunk, 'x', sizeof(chunk));
        socket_pair(fds);
        status.fd = fds[1];
        /* As long as there was room before, a chunk goes as a whole. */
        while (data_status_has_room(&status)) {
                assert_int_equal(data_status_stderr(&status, chunk, sizeof(chunk)), 0);
                ++n_sent;
        }
        while ((r = data_status_stderr(&status, chunk, sizeof(chunk))) == 0)
                ++n_sent;
        assert_int_equal(r, DATA_STATUS_E_AGAIN);
        assert_true(status.fd >= 0);

        expect_hello(fds[0]);
        for (; n_got < n_sent; ++n_got) {
                assert_true(peer_receive(fds[0], &type, data, &n));
                assert_int_equal(type, WIRE_TYPE_DATA_STDERR);
                assert_int_equal(n, sizeof(chunk));
        }
        assert_int_equal(data_status_exit(&status, 1), 0);
        peer_expect_exit(fds[0], 1);
        data_status_deinit(&status);
        fd_close(fds[0]);
}

static void test_gone(void **state) {
        DataStatus status = DATA_STATUS_INIT;
        int fds[2];

        socket_pair(fds);
        status.fd = fds[1];
        fd_close(fds[0]);
        assert_true(data_status_has_room(&status));
        assert_int_equal(data_status_exit(&status, 1), DATA_STATUS_E_GONE);
        assert_int_equal(status.fd, -1);
        assert_int_equal(data_status_stderr(&status, "x", 1), DATA_STATUS_E_GONE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_messages, peer_setup),
                cmocka_unit_test_setup(test_exit_alone, peer_setup),
                cmocka_unit_test_setup(test_full, peer_setup),
                cmocka_unit_test_setup(test_gone, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
