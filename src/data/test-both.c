/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends against each other, much data in both directions at once, through readers that are slower than the
 * writers: nothing is lost, changed or out of order, and nothing dead-locks.
 */
#undef NDEBUG
#include "test-peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define STREAM_SIZE ((size_t)64 << 20)
/** No divisor of a chunk, so that reads and frames never line up. */
#define PIECE_SIZE 40961

/* A stream that both sides can compute (xorshift64): any byte lost, added or moved changes all that follow. */
typedef struct Random {
        uint64_t state;
        uint8_t data[8];
        size_t n_used;
} Random;

static void random_fill(Random *random, uint8_t *data, size_t n) {
        for (size_t i = 0; i < n; ++i) {
                if (random->n_used == sizeof(random->data)) {
                        random->state ^= random->state << 13;
                        random->state ^= random->state >> 7;
                        random->state ^= random->state << 17;
                        memcpy(random->data, &random->state, sizeof(random->data));
                        random->n_used = 0;
                }
                data[i] = random->data[random->n_used++];
        }
}

static Random random_init(uint64_t seed) {
        return (Random){ .state = seed, .n_used = sizeof(uint64_t) };
}

/* In a process of its own, so that nothing but the code under test couples the two directions. */
static pid_t writer_start(int fd, uint64_t seed, bool half_close) {
        static uint8_t data[PIECE_SIZE];
        Random random = random_init(seed);
        pid_t pid = fork();

        assert_return_code(pid, errno);
        if (pid != 0)
                return pid;
        for (size_t n_done = 0; n_done < STREAM_SIZE;) {
                size_t n = STREAM_SIZE - n_done < sizeof(data) ? STREAM_SIZE - n_done : sizeof(data);

                random_fill(&random, data, n);
                if (fd_write_full(fd, data, n))
                        _exit(1);
                n_done += n;
        }
        if (half_close)
                (void)shutdown(fd, SHUT_WR);
        _exit(0);
}

/* Checks what comes until the end; takes little at a time. */
static pid_t reader_start(int fd, uint64_t seed) {
        static uint8_t data[PIECE_SIZE / 8], expected[PIECE_SIZE / 8];
        Random random = random_init(seed);
        size_t n_done = 0;
        pid_t pid = fork();

        assert_return_code(pid, errno);
        if (pid != 0)
                return pid;
        for (;;) {
                ssize_t n = read(fd, data, sizeof(data));

                if (n < 0)
                        _exit(1);
                if (n == 0)
                        _exit(n_done == STREAM_SIZE ? 0 : 2);
                random_fill(&random, expected, (size_t)n);
                if (memcmp(data, expected, (size_t)n) != 0)
                        _exit(3);
                n_done += (size_t)n;
        }
}

static void expect_success(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* A caller between pipes, a socket service: both directions at once. */
static void test_both_directions(void **state) {
        DataCallee callee = DATA_CALLEE_INIT;
        DataCaller caller = DATA_CALLER_INIT;
        int stream[2], service[2], in[2], out[2];
        Running running_callee, running_caller;
        pid_t pids[4];
        Report report;

        socket_pair(stream);
        socket_pair(service);
        pipe_pair(in);
        pipe_pair(out);
        callee.in_fd = service[1];
        caller.in_fd = in[0];
        caller.out_fd = out[1];
        caller.inherited = true;
        running_callee = callee_start(NULL, stream[0], callee);
        running_caller = caller_start(NULL, stream[1], -1, caller);

        pids[0] = writer_start(in[1], 1, false);
        fd_close(in[1]);
        pids[1] = writer_start(service[0], 2, true);
        pids[2] = reader_start(service[0], 1);
        fd_close(service[0]);
        pids[3] = reader_start(out[0], 2);
        fd_close(out[0]);
        for (size_t i = 0; i < 4; ++i)
                expect_success(pids[i]);

        report = running_finish(&running_caller);
        assert_int_equal(report.r, 0);
        assert_int_equal(report.status, 0);
        report = running_finish(&running_callee);
        assert_int_equal(report.r, 0);
        assert_int_equal(report.how, CALL_HOW_EXITED);
}

/* An executable service that echoes: the data goes there and back through all queues at once. */
static void test_echo(void **state) {
        DataCaller caller = DATA_CALLER_INIT;
        int stream[2], in[2], out[2];
        Running running_callee, running_caller;
        pid_t writer, reader;
        Report report;

        socket_pair(stream);
        pipe_pair(in);
        pipe_pair(out);
        caller.in_fd = in[0];
        caller.out_fd = out[1];
        caller.inherited = true;
        running_callee = callee_start("cat; exit 5", stream[0], DATA_CALLEE_INIT);
        running_caller = caller_start(NULL, stream[1], -1, caller);
        writer = writer_start(in[1], 3, false);
        fd_close(in[1]);
        reader = reader_start(out[0], 3);
        fd_close(out[0]);
        expect_success(writer);
        expect_success(reader);
        assert_int_equal(running_finish(&running_caller).status, 5);
        report = running_finish(&running_callee);
        assert_int_equal(report.r, 0);
        assert_int_equal(report.status, 5);
}

/* Both sides killed in turn: the other one ends by itself. */
static void test_killed(void **state) {
        DataCaller caller = DATA_CALLER_INIT;
        int stream[2];
        Running running_callee, running_caller;
        Report report;

        socket_pair(stream);
        running_callee = callee_start("cat; exit 6", stream[0], DATA_CALLEE_INIT);
        fd_close(stream[1]);
        report = running_finish(&running_callee);
        assert_int_equal(report.status, 6);
        assert_int_equal(report.how, CALL_HOW_ABANDONED);

        socket_pair(stream);
        running_caller = caller_start("exec cat", stream[1], -1, caller);
        fd_close(stream[0]);
        assert_int_equal(running_finish(&running_caller).r, DATA_CALLER_E_HANDSHAKE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_both_directions, peer_setup),
                cmocka_unit_test_setup(test_echo, peer_setup),
                cmocka_unit_test_setup(test_killed, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
