/* SPDX-License-Identifier: Apache-2.0 */
/* Over vsock this machine has no peer: its connections are socket pairs here, as those of vchan are Unix sockets, too. */
#include "agent/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/test-capture.h"

#define SEC UINT64_C(1000000)

#define HELLO_MESSAGE "\x00\x03\x00\x00\x04\x00\x00\x00\x04\x00\x00\x00"
#define REFUSED       "\x03\x02\x00\x00\x20\x00\x00\x00SOCKET0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const Medium vsock = { .kind = MEDIUM_KIND_VSOCK }, vchan = { .kind = MEDIUM_KIND_VCHAN };

typedef struct Link {
        Control control;
        int peer_fd;
} Link;

static void link_open(Link *link, const Medium *medium) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        control_init(&link->control, medium, epoll_create1(EPOLL_CLOEXEC));
        link->peer_fd = fds[1];
        assert_false(control_is_open(&link->control));
        assert_int_equal(control_begin(&link->control, fds[0]), 0);
        assert_true(control_is_open(&link->control));
}

static void link_close(Link *link) {
        control_deinit(&link->control);
        control_deinit(&link->control);
        fd_close(link->control.epoll_fd);
        fd_close(link->peer_fd);
}

/* Return: of the first control_receive() that is not about an order; what was logged is in @capture */
static int receive(Link *link, uint64_t now_usec, unsigned *ret_n_orders, Capture *capture) {
        DaemonOrder order;
        int r;

        *ret_n_orders = 0;
        capture_begin(capture);
        for (;;) {
                r = control_receive(&link->control, now_usec, &order);
                if (r && r != CONTROL_E_HELLO)
                        break;
                *ret_n_orders += r == 0;
        }
        capture_end(capture);
        return r;
}

static void test_end(void **state) {
        static const struct {
                const char *name;
                const Medium *medium;
                const char *data;
                size_t n;
                int expect;
                unsigned n_orders;
                const char *said;
        } cases[] = {
#define CASE(_name, _medium, _data, ...) { _name, _medium, _data, sizeof(_data) - 1, __VA_ARGS__ }
                CASE("vsock: nobody serves us there", &vsock, "", CONTROL_E_LOST, 0, "it closed the connection"),
                CASE("vsock: after HELLO", &vsock, HELLO_MESSAGE, CONTROL_E_LOST, 0, "the daemon went away"),
                CASE("vsock: after an order", &vsock, HELLO_MESSAGE REFUSED, CONTROL_E_LOST, 1, "the daemon went away"),
                CASE("vsock: in HELLO", &vsock, "\x00\x03\x00\x00", CONTROL_E_BROKEN, 0, "middle of a message"),
                CASE("vsock: in an order", &vsock, HELLO_MESSAGE "\x03\x02", CONTROL_E_BROKEN, 0,
                     "middle of a message"),
                CASE("vsock: no HELLO", &vsock, REFUSED, CONTROL_E_BROKEN, 0, "no HELLO"),
                CASE("vsock: no order", &vsock, HELLO_MESSAGE HELLO_MESSAGE, CONTROL_E_BROKEN, 0, "no daemon sends"),
                CASE("vchan: in the handshake", &vchan, "", CONTROL_E_BROKEN, 0, "middle of the handshake"),
                CASE("vchan: after HELLO", &vchan, HELLO_MESSAGE, CONTROL_E_LOST, 0, "the daemon went away"),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t hello[sizeof(HELLO_MESSAGE)];
                Capture capture;
                unsigned n_orders;
                Link link;
                int r;

                link_open(&link, cases[i].medium);
                assert_int_equal(read(link.peer_fd, hello, sizeof(hello)), sizeof(HELLO_MESSAGE) - 1);
                assert_memory_equal(hello, HELLO_MESSAGE, sizeof(HELLO_MESSAGE) - 1);
                assert_int_equal(write(link.peer_fd, cases[i].data, cases[i].n), cases[i].n);
                link.peer_fd = fd_close(link.peer_fd);
                r = receive(&link, SEC, &n_orders, &capture);
                if (r != cases[i].expect || n_orders != cases[i].n_orders)
                        fail_msg("%s: got %d after %u orders", cases[i].name, r, n_orders);
                if (!strstr(capture.text, cases[i].said))
                        fail_msg("%s: said \"%s\"", cases[i].name, capture.text);
                link_close(&link);
        }
}

/* A host that has no daemon for us is asked less and less; one that had one, soon. */
static void test_again(void **state) {
        Capture capture;
        unsigned n_orders;
        Link link;
        int fds[2];

        link_open(&link, &vsock);
        assert_true(control_deadline(&link.control) == UINT64_MAX);
        link.peer_fd = fd_close(link.peer_fd);
        assert_int_equal(receive(&link, SEC, &n_orders, &capture), CONTROL_E_LOST);
        assert_int_equal(control_open(&link.control), 0);
        assert_int_equal(link.control.state, CONTROL_STATE_DIALLING);
        assert_true(control_deadline(&link.control) == SEC + CONTROL_DIAL_PAUSE_MIN_USEC);
        assert_int_equal(control_establish(&link.control, SEC), CONTROL_E_AGAIN);
        assert_true(control_deadline(&link.control) == SEC + CONTROL_DIAL_PAUSE_MIN_USEC);
        assert_int_equal(control_watch(&link.control), 0);

        for (unsigned i = 1; i <= 2; ++i) {
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
                assert_int_equal(control_begin(&link.control, fds[0]), 0);
                /* The second time it answers. */
                if (i == 2)
                        assert_int_equal(write(fds[1], HELLO_MESSAGE, sizeof(HELLO_MESSAGE) - 1), 12);
                fd_close(fds[1]);
                assert_int_equal(receive(&link, 2 * SEC, &n_orders, &capture), CONTROL_E_LOST);
                assert_int_equal(control_open(&link.control), 0);
                assert_true(control_deadline(&link.control) ==
                            2 * SEC + CONTROL_DIAL_PAUSE_MIN_USEC * (i == 1 ? 2 : 1));
        }
        link_close(&link);
}

static bool is_event(Link *link) {
        struct epoll_event event;

        assert_int_equal(control_watch(&link->control), 0);
        if (epoll_wait(link->control.epoll_fd, &event, 1, 0) == 0)
                return false;
        assert_ptr_equal(event.data.ptr, &link->control.watch);
        return true;
}

static void test_watch(void **state) {
        static uint8_t message[65536];
        DaemonOrder order;
        int copy_fd;
        Link link;

        link_open(&link, &vsock);
        assert_false(is_event(&link));
        assert_int_equal(write(link.peer_fd, HELLO_MESSAGE REFUSED, sizeof(HELLO_MESSAGE REFUSED) - 1), 52);
        assert_true(is_event(&link));
        assert_int_equal(control_receive(&link.control, 1, &order), CONTROL_E_HELLO);

        /* Who does not take what we say is not listened to either. */
        while (control_is_flushed(&link.control))
                assert_int_equal(control_send(&link.control, message, sizeof(message)), 0);
        assert_false(is_event(&link));
        while (read(link.peer_fd, message, sizeof(message)) > 0)
                ;
        assert_true(is_event(&link));
        assert_int_equal(control_flush(&link.control), 0);
        assert_true(control_is_flushed(&link.control));
        assert_int_equal(control_receive(&link.control, 1, &order), 0);
        assert_int_equal(order.type, DAEMON_ORDER_TYPE_REFUSE);
        assert_false(is_event(&link));

        /* A connection that is given up has no more events, also where a handler holds a copy of it for a moment. */
        copy_fd = dup(link.control.messages.fd);
        assert_true(copy_fd >= 0);
        assert_int_equal(control_open(&link.control), 0);
        link.peer_fd = fd_close(link.peer_fd);
        assert_false(is_event(&link));
        fd_close(copy_fd);
        link_close(&link);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_end),
                cmocka_unit_test(test_again),
                cmocka_unit_test(test_watch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
