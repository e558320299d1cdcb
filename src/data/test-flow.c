/* SPDX-License-Identifier: Apache-2.0 */
/* One direction between a pipe and a socket, run by run: nothing here may ever block, so one process plays all sides. */
#undef NDEBUG
#include "test-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "data/flow.h"

/* What the flow reads from and writes to, and the other side of each. */
typedef struct Ends {
        int from_fd, to_fd;
        int give_fd, take_fd;
        int pipe_flags; /* of the pipe's end, before anything was done */
} Ends;

static void make_tcp(int ret_fds[2]) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(address);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
        ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(ret_fds[0], (struct sockaddr *)&address, n), 0);
        ret_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(ret_fds[1] >= 0);
        fd_close(listener);
}

static Ends make(bool from_socket, bool tcp) {
        int pipe_fds[2], sockets[2];
        Ends ends;

        pipe_pair(pipe_fds);
        if (tcp)
                make_tcp(sockets);
        else
                socket_pair(sockets);
        assert_int_equal(fd_set_nonblocking(sockets[0], true), 0);
        if (from_socket)
                ends = (Ends){
                        .from_fd = sockets[0], .give_fd = sockets[1], .to_fd = pipe_fds[1], .take_fd = pipe_fds[0]
                };
        else
                ends = (Ends){
                        .from_fd = pipe_fds[0], .give_fd = pipe_fds[1], .to_fd = sockets[0], .take_fd = sockets[1]
                };
        ends.pipe_flags = fcntl(from_socket ? ends.to_fd : ends.from_fd, F_GETFL);
        return ends;
}

static void drop(Ends *ends, bool from_socket) {
        assert_int_equal(fcntl(from_socket ? ends->to_fd : ends->from_fd, F_GETFL), ends->pipe_flags);
        fd_close(ends->from_fd);
        fd_close(ends->to_fd);
        fd_close(ends->give_fd);
        fd_close(ends->take_fd);
}

static void test_all_that_is_there(void **state) {
        for (int i = 0; i < 4; ++i) {
                bool from_socket = i & 1, tcp = i & 2;
                Ends ends = make(from_socket, tcp);
                DataFlow flow = { .from_socket = from_socket };

                assert_int_equal(data_flow_run(&flow, ends.from_fd, ends.to_fd), DATA_FLOW_E_EMPTY);
                write_all(ends.give_fd, "abc", 3);
                assert_int_equal(data_flow_run(&flow, ends.from_fd, ends.to_fd), DATA_FLOW_E_EMPTY);
                expect_bytes(ends.take_fd, "abc");
                write_all(ends.give_fd, "de", 2);
                ends.give_fd = fd_close(ends.give_fd);
                assert_int_equal(data_flow_run(&flow, ends.from_fd, ends.to_fd), DATA_FLOW_E_END);
                expect_bytes(ends.take_fd, "de");
                assert_false(flow.growth.grown);
                drop(&ends, from_socket);
        }
}

/* Until it says so, it is the source that has nothing; then an edge at the other end is enough to go on. */
static void test_room(void **state) {
        static uint8_t data[65536], got[65536];

        for (int i = 0; i < 4; ++i) {
                bool from_socket = i & 1, tcp = i & 2;
                Ends ends = make(from_socket, tcp);
                DataFlow flow = { .from_socket = from_socket };
                size_t n_given = 0, n_taken = 0;
                int r;

                assert_int_equal(fd_set_nonblocking(ends.give_fd, true), 0);
                assert_int_equal(fd_set_nonblocking(ends.take_fd, true), 0);
                do {
                        ssize_t n = write(ends.give_fd, data, sizeof(data));

                        n_given += n > 0 ? (size_t)n : 0;
                        r = data_flow_run(&flow, ends.from_fd, ends.to_fd);
                        assert_true(r == DATA_FLOW_E_EMPTY || r == DATA_FLOW_E_FULL || r == DATA_FLOW_E_TURN);
                } while (r != DATA_FLOW_E_FULL && n_given < (64U << 20));
                assert_int_equal(r, DATA_FLOW_E_FULL);
                assert_int_equal(data_flow_run(&flow, ends.from_fd, ends.to_fd), DATA_FLOW_E_FULL);
                assert_true(flow.growth.grown);
                assert_int_equal(fcntl(from_socket ? ends.to_fd : ends.from_fd, F_GETPIPE_SZ), DATA_GROWTH_PIPE_SIZE);

                ends.give_fd = fd_close(ends.give_fd);
                for (unsigned turns = 0; r != DATA_FLOW_E_END; ++turns) {
                        ssize_t n = read(ends.take_fd, got, sizeof(got));

                        n_taken += n > 0 ? (size_t)n : 0;
                        r = data_flow_run(&flow, ends.from_fd, ends.to_fd);
                        assert_true(turns < 1000000);
                }
                fd_close(ends.to_fd);
                for (ssize_t n = 1; n != 0;) {
                        struct pollfd taken = { .fd = ends.take_fd, .events = POLLIN };

                        (void)poll(&taken, 1, -1);
                        n = read(ends.take_fd, got, sizeof(got));
                        n_taken += n > 0 ? (size_t)n : 0;
                }
                assert_int_equal(n_given, n_taken);
                fd_close(ends.from_fd);
                fd_close(ends.take_fd);
        }
}

/*
 * A pipe that is just full when the service ends: its end-of-file was told once, and must not be taken for "nothing yet"
 * behind the full pipe.
 */
static void test_end_behind_a_full_pipe(void **state) {
        static uint8_t page[4096];
        Ends ends = make(true, false);
        DataFlow flow = { .from_socket = true };
        int size = fcntl(ends.to_fd, F_GETPIPE_SZ), r;

        for (int n = 0; n < size; n += (int)sizeof(page))
                write_all(ends.to_fd, page, sizeof(page));
        ends.give_fd = fd_close(ends.give_fd);
        assert_int_equal(data_flow_run(&flow, ends.from_fd, ends.to_fd), DATA_FLOW_E_FULL);
        read_exactly(ends.take_fd, page, sizeof(page));
        r = data_flow_run(&flow, ends.from_fd, ends.to_fd);
        assert_int_equal(r, DATA_FLOW_E_END);
        drop(&ends, true);
}

/* A turn is bounded, however fast somebody else makes room. */
static void test_turn(void **state) {
        static uint8_t data[DATA_FLOW_SPLICE_MAX];
        DataFlow flow = { .from_socket = false };
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC), pipe_fds[2];

        pipe_pair(pipe_fds);
        assert_int_equal(fcntl(pipe_fds[0], F_SETPIPE_SZ, DATA_FLOW_TURN_MAX * sizeof(data)),
                         DATA_FLOW_TURN_MAX * sizeof(data));
        for (int i = 0; i < DATA_FLOW_TURN_MAX; ++i)
                write_all(pipe_fds[1], data, sizeof(data));
        /* All of it went, but nobody looked whether there is more. */
        assert_int_equal(data_flow_run(&flow, pipe_fds[0], null_fd), DATA_FLOW_E_TURN);
        assert_int_equal(data_flow_run(&flow, pipe_fds[0], null_fd), DATA_FLOW_E_EMPTY);
        fd_close(pipe_fds[0]);
        fd_close(pipe_fds[1]);
        fd_close(null_fd);
}

static void test_nobody_takes_it(void **state) {
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        for (int i = 0; i < 4; ++i) {
                bool from_socket = i & 1, tcp = i & 2;
                Ends ends = make(from_socket, tcp);
                DataFlow flow = { .from_socket = from_socket };
                int r = DATA_FLOW_E_EMPTY;

                ends.take_fd = fd_close(ends.take_fd);
                /* TCP learns it from the first answer to what was sent. */
                for (int n = 0; r == DATA_FLOW_E_EMPTY && n < 10000; ++n) {
                        write_all(ends.give_fd, "abc", 3);
                        r = data_flow_run(&flow, ends.from_fd, ends.to_fd);
                }
                assert_int_equal(r, DATA_FLOW_E_GONE);
                assert_int_equal(data_flow_drop(&flow, ends.from_fd, null_fd), DATA_FLOW_E_EMPTY);
                for (int n = 0; n < 5; ++n) {
                        static uint8_t data[65536];

                        write_all(ends.give_fd, data, sizeof(data) / 2);
                        while ((r = data_flow_drop(&flow, ends.from_fd, null_fd)) == DATA_FLOW_E_TURN)
                                ;
                        assert_int_equal(r, DATA_FLOW_E_EMPTY);
                }
                ends.give_fd = fd_close(ends.give_fd);
                assert_int_equal(data_flow_drop(&flow, ends.from_fd, null_fd), DATA_FLOW_E_END);
                drop(&ends, from_socket);
        }
        fd_close(null_fd);
}

/* A service that resets its connection has ended its output, as with 0 bytes read (5.3 rule 6). */
static void test_reset(void **state) {
        struct linger now = { .l_onoff = 1 };
        Ends ends = make(true, true);
        DataFlow flow = { .from_socket = true };
        struct pollfd from = { .fd = ends.from_fd, .events = POLLIN };

        assert_int_equal(setsockopt(ends.give_fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
        ends.give_fd = fd_close(ends.give_fd);
        (void)poll(&from, 1, -1);
        assert_int_equal(data_flow_run(&flow, ends.from_fd, ends.to_fd), DATA_FLOW_E_END);
        drop(&ends, true);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_all_that_is_there, peer_setup),
                cmocka_unit_test_setup(test_room, peer_setup),
                cmocka_unit_test_setup(test_end_behind_a_full_pipe, peer_setup),
                cmocka_unit_test_setup(test_turn, peer_setup),
                cmocka_unit_test_setup(test_nobody_takes_it, peer_setup),
                cmocka_unit_test_setup(test_reset, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
