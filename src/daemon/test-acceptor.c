/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/acceptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "daemon/test-dialled.h"

/* Bounds a failure alone. */
#define LIMIT_MSEC 30000

typedef struct Fixture {
        char folder[32], path[64];
        int listener_fd, link_fd; /* of the supervisor that we play */
        DaemonSettings settings;
        Acceptor acceptor;
} Fixture;

static int setup(void **state) {
        static Fixture fixture;
        struct sockaddr_un address;
        socklen_t n;

        fixture = (Fixture){ .folder = "/tmp/test-acceptor.XXXXXX", .link_fd = -1 };
        assert_non_null(mkdtemp(fixture.folder));
        (void)snprintf(fixture.path, sizeof(fixture.path), "%s/vsock", fixture.folder);
        assert_int_equal(socket_address(fixture.path, &address, &n), 0);
        fixture.listener_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fixture.listener_fd, (struct sockaddr *)&address, n), 0);
        assert_int_equal(listen(fixture.listener_fd, 5), 0);
        fixture.settings.vsock = fixture.path;
        assert_int_equal(acceptor_init(&fixture.acceptor, &fixture.settings), 0);
        *state = &fixture;
        return 0;
}

static int teardown(void **state) {
        Fixture *fixture = *state;

        acceptor_deinit(&fixture->acceptor);
        fd_close(fixture->link_fd);
        fd_close(fixture->listener_fd);
        (void)unlink(fixture->path);
        return rmdir(fixture->folder);
}

static bool is_readable(int fd, int msec) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        return poll(&poll_fd, 1, msec) == 1;
}

/* What it does next, with an arrival or without one. */
static int next(Fixture *fixture, Arrival *ret_arrival) {
        assert_true(is_readable(fixture->acceptor.epoll_fd, LIMIT_MSEC));
        return acceptor_next(&fixture->acceptor, ret_arrival);
}

static void nothing_comes(Fixture *fixture) {
        Arrival arrival;

        assert_int_equal(next(fixture, &arrival), ACCEPTOR_E_AGAIN);
}

/* The daemon connects, be it for the first time or again. */
static void connects(Fixture *fixture) {
        nothing_comes(fixture);
        fd_close(fixture->link_fd);
        assert_true(is_readable(fixture->listener_fd, 0));
        fixture->link_fd = accept4(fixture->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(fixture->link_fd >= 0);
}

static void give(Fixture *fixture, const char *gift, int fd) {
        assert_int_equal(socket_send(fixture->link_fd, gift, strlen(gift), &fd, fd >= 0, NULL), 0);
}

/* It is refused: the connection ends, and there is another. */
static void assert_refused(Fixture *fixture) {
        char byte;

        nothing_comes(fixture);
        assert_int_equal(recv(fixture->link_fd, &byte, 1, 0), 0);
        connects(fixture);
}

/* A listener below port 512; skips where there can be none. */
static int listen_data(uint32_t *ret_port) {
        int fd, error = 0;

        if (vsock_listen_data(&error, &fd, ret_port))
                skip();
        return fd;
}

static void test_is_guests(void **state) {
        static const struct {
                const char *name;
                VsockPeer peer;
                bool expect;
        } cases[] = {
                { "the guest's first port", { 3, 513 }, true },
                { "its last one", { 3, 768 }, true },
                { "below", { 3, 512 }, false },
                { "above", { 3, 769 }, false },
                { "another guest", { 4, 513 }, false },
                { "this host", { 2, 513 }, false },
                { "nobody's port", { 3, 65536 + 513 }, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (acceptor_is_guests(&cases[i].peer, 3) != cases[i].expect)
                        fail_msg("%s", cases[i].name);
        /* No guest has been there yet. */
        assert_false(acceptor_is_guests(&(VsockPeer){ 0, 513 }, 0));
}

static void test_the_listener(void **state) {
        _cleanup_fd_ int fd = -1, second_fd = -1;
        Fixture *fixture = *state;
        uint32_t port, second;
        Arrival arrival;

        fd = listen_data(&port);
        second_fd = listen_data(&second);
        connects(fixture);
        assert_int_equal(acceptor_next_data(&fixture->acceptor, &arrival), ACCEPTOR_E_AGAIN);
        give(fixture, "D", fd);
        nothing_comes(fixture);
        assert_int_equal(fixture->acceptor.data_port, port);
        assert_int_equal(acceptor_next_data(&fixture->acceptor, &arrival), ACCEPTOR_E_AGAIN);
        /* The supervisor was started again, and has another: the guest was told of the first. */
        fixture->link_fd = fd_close(fixture->link_fd);
        nothing_comes(fixture);
        connects(fixture);
        give(fixture, "D", second_fd);
        nothing_comes(fixture);
        assert_int_equal(fixture->acceptor.data_port, port);
        assert_false(is_readable(fixture->acceptor.epoll_fd, 0));
}

/* What is there before we are is of an earlier daemon's calls, whose ports may be those of ours. */
static void test_who_dialled_before(void **state) {
        int ours[] = { dial(42, 513), dial(42, 514), dial(43, 513) }, late_fd;
        _cleanup_fd_ int fd = -1;
        Fixture *fixture = *state;
        Arrival arrival;
        uint32_t port;

        fd = listen_data(&port);
        connects(fixture);
        give(fixture, "D", fd);
        nothing_comes(fixture);
        for (size_t i = 0; i < ARRAY_SIZE(ours); ++i) {
                assert_true(hangs_up(ours[i]));
                fd_close(ours[i]);
        }
        late_fd = dial(42, 515);
        assert_int_equal(acceptor_next_data(&fixture->acceptor, &arrival), 0);
        assert_int_equal(arrival.purpose, VSOCK_PURPOSE_DATA);
        assert_int_equal(arrival.peer.port, 515);
        assert_false(hangs_up(late_fd));
        fd_close(arrival.fd);
        fd_close(late_fd);
}

static void test_no_supervisor(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(unlink(fixture->path), 0);
        nothing_comes(fixture);
        assert_int_equal(fixture->acceptor.fd, -1);
        nothing_comes(fixture); /* and again */
}

/* A worker has a copy of everything when it is forked, and for a moment after that. */
static void test_a_supervisor_that_goes_away(void **state) {
        Fixture *fixture = *state;
        int copy_fd;

        connects(fixture);
        copy_fd = dup(fixture->acceptor.fd);
        fixture->link_fd = fd_close(fixture->link_fd);
        nothing_comes(fixture);
        assert_int_equal(fixture->acceptor.fd, -1);
        connects(fixture);
        assert_false(is_readable(fixture->acceptor.epoll_fd, 0));
        fd_close(copy_fd);
}

static void test_what_is_no_gift(void **state) {
        static const struct {
                const char *gift;
                bool has_fd;
        } cases[] = {
                { "D", true }, { "D", false }, { "X", true }, { "DD", true }, { "C", true }, { "C", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Fixture *fixture;

                setup(state);
                fixture = *state;
                connects(fixture);
                give(fixture, cases[i].gift, cases[i].has_fd ? STDIN_FILENO : -1);
                assert_refused(fixture);
                assert_int_equal(fixture->acceptor.data_fd, -1);
                assert_int_equal(teardown(state), 0);
        }
}

static void test_a_listener_of_anybodys(void **state) {
        _cleanup_fd_ int fd = -1, low_fd = -1;
        Fixture *fixture = *state;
        uint32_t port;
        int error, r;

        low_fd = listen_data(&port);
        for (port = 40000; (r = vsock_listen(port, &error, &fd)) == VSOCK_E_TAKEN;)
                ++port;
        assert_int_equal(r, 0);
        connects(fixture);
        give(fixture, "D", fd);
        assert_refused(fixture);
        assert_int_equal(fixture->acceptor.data_fd, -1);
}

/* A connection of another kind, or none. */
static void test_what_is_no_control_connection(void **state) {
        _cleanup_fd_ int fd = -1, unix_fd = -1, alone_fd = -1;
        Fixture *fixture = *state;
        uint32_t port;
        int pair[2];

        fd = listen_data(&port);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        unix_fd = pair[0];
        fd_close(pair[1]);
        alone_fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        connects(fixture);
        give(fixture, "D", fd);
        nothing_comes(fixture);
        assert_true(fixture->acceptor.data_fd >= 0);
        give(fixture, "C", unix_fd);
        assert_refused(fixture);
        give(fixture, "C", alone_fd);
        assert_refused(fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_is_guests),
                cmocka_unit_test_setup_teardown(test_the_listener, setup, teardown),
                cmocka_unit_test_setup_teardown(test_who_dialled_before, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_supervisor, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_supervisor_that_goes_away, setup, teardown),
                cmocka_unit_test(test_what_is_no_gift),
                cmocka_unit_test_setup_teardown(test_a_listener_of_anybodys, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_no_control_connection, setup, teardown),
        };

        log_set_max_level(0);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
