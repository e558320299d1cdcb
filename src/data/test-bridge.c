/* SPDX-License-Identifier: Apache-2.0 */
/* A direct call to a service that has no pipes keeps the rules of a framed one (protocol specification, 5.3, 5.7). */
#undef NDEBUG
#include "test-peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "wire/header.h"

typedef struct Call {
        int status_fd, stdin_fd, stdout_fd; /* the caller's ends */
        Running bridge;
} Call;

static Call call_start(const char *script, DataCallee template) {
        int status[2], in[2], out[2];
        Call call;

        socket_pair(status);
        pipe_pair(in);
        pipe_pair(out);
        call = (Call){ .status_fd = status[0], .stdin_fd = in[1], .stdout_fd = out[0] };
        call.bridge = bridge_start(script, status[1], in[0], out[1], template);
        return call;
}

static void call_expect_hello(const Call *call) {
        static const uint8_t version[] = { 4, 0, 0, 0 };

        peer_expect(call->status_fd, WIRE_TYPE_HELLO, version, sizeof(version));
}

static void call_finish(Call *call, int status, CallHow how) {
        Report report = running_finish(&call->bridge);

        assert_int_equal(report.r, 0);
        assert_int_equal(report.status, status);
        assert_int_equal(report.how, how);
        fd_close(call->status_fd);
        fd_close(call->stdin_fd);
        fd_close(call->stdout_fd);
}

static void test_program(void **state) {
        Call call = call_start("cat; echo oops >&2; exit 42", DATA_CALLEE_INIT);

        write_all(call.stdin_fd, "there", 5);
        expect_bytes(call.stdout_fd, "there");
        call.stdin_fd = fd_close(call.stdin_fd);
        expect_end(call.stdout_fd);
        call_expect_hello(&call);
        peer_expect_text(call.status_fd, WIRE_TYPE_DATA_STDERR, "oops\n");
        peer_expect_exit(call.status_fd, 42);
        peer_expect_closed(call.status_fd);
        call_finish(&call, 42, CALL_HOW_EXITED);
}

/* 66: the exit code does not wait for the caller's end of input. */
static void test_exit_ends_input(void **state) {
        Call call = call_start("echo out; kill -9 $$", DATA_CALLEE_INIT);

        expect_bytes(call.stdout_fd, "out\n");
        call_expect_hello(&call);
        peer_expect_exit(call.status_fd, 128 + 9);
        call_finish(&call, 128 + 9, CALL_HOW_SIGNALLED);
}

/* 69 */
static void test_stdout_ends_early(void **state) {
        Call call = call_start("exec >&-; read line; exit 3", DATA_CALLEE_INIT);

        expect_end(call.stdout_fd);
        write_all(call.stdin_fd, "go\n", 3);
        call_expect_hello(&call);
        peer_expect_exit(call.status_fd, 3);
        call_finish(&call, 3, CALL_HOW_EXITED);
}

/* 70: later input vanishes silently. */
static void test_stdin_is_closed(void **state) {
        char folder[] = "/tmp/test-bridge.XXXXXX", path[64], script[128];
        Call call;
        int fd;

        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/fifo", folder);
        snprintf(script, sizeof(script), "exec <&-; echo closed; read x <%s; exit 4", path);
        assert_int_equal(mkfifo(path, 0600), 0);
        call = call_start(script, DATA_CALLEE_INIT);
        expect_bytes(call.stdout_fd, "closed\n");
        for (int i = 0; i < 100; ++i) {
                char data[4096] = {};

                write_all(call.stdin_fd, data, sizeof(data));
        }
        fd = open(path, O_WRONLY | O_CLOEXEC);
        write_all(fd, "\n", 1);
        fd_close(fd);
        call_expect_hello(&call);
        peer_expect_exit(call.status_fd, 4);
        call_finish(&call, 4, CALL_HOW_EXITED);
        unlink(path);
        rmdir(folder);
}

/* 88 */
static void test_single_socket(void **state) {
        Call call = call_start("echo first; kill -USR1 $QREXEC_AGENT_PID; exec >&0; echo moved; cat", DATA_CALLEE_INIT);

        expect_bytes(call.stdout_fd, "first\nmoved\n");
        write_all(call.stdin_fd, "back", 4);
        expect_bytes(call.stdout_fd, "back");
        call.stdin_fd = fd_close(call.stdin_fd);
        expect_end(call.stdout_fd);
        call_expect_hello(&call);
        peer_expect_exit(call.status_fd, 0);
        call_finish(&call, 0, CALL_HOW_EXITED);
}

/* Nobody takes the output: it is read and dropped, and the service ends as if it were taken. */
static void test_reader_leaves(void **state) {
        Call call = call_start("head -c 1000000 /dev/zero && exit 5", DATA_CALLEE_INIT);

        call.stdout_fd = fd_close(call.stdout_fd);
        call_expect_hello(&call);
        peer_expect_exit(call.status_fd, 5);
        call_finish(&call, 5, CALL_HOW_EXITED);
}

/* 5.8: the service loses its ends, and is waited for. */
static void test_caller_vanishes(void **state) {
        Call call = call_start("cat; exit 6", DATA_CALLEE_INIT);

        write_all(call.stdin_fd, "x", 1);
        expect_bytes(call.stdout_fd, "x");
        call.status_fd = fd_close(call.status_fd);
        call_finish(&call, 6, CALL_HOW_ABANDONED);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_program, peer_setup),
                cmocka_unit_test_setup(test_exit_ends_input, peer_setup),
                cmocka_unit_test_setup(test_stdout_ends_early, peer_setup),
                cmocka_unit_test_setup(test_stdin_is_closed, peer_setup),
                cmocka_unit_test_setup(test_single_socket, peer_setup),
                cmocka_unit_test_setup(test_reader_leaves, peer_setup),
                cmocka_unit_test_setup(test_caller_vanishes, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
