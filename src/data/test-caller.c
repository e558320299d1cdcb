/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers are those of the protocol specification's appendix A. */
#undef NDEBUG
#include "test-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "wire/header.h"

#define STDIN     WIRE_TYPE_DATA_STDIN
#define STDOUT    WIRE_TYPE_DATA_STDOUT
#define STDERR    WIRE_TYPE_DATA_STDERR
#define EXIT_CODE WIRE_TYPE_DATA_EXIT_CODE

/* A caller between pipes of the test's: it reads what is written to in_fd and writes what is read from out_fd. */
typedef struct Call {
        int fd; /* the peer's end of the stream */
        int in_fd, out_fd, err_fd;
        Running caller;
} Call;

static Call call_start_version(DataCaller template, uint32_t version) {
        int fds[2], in[2], out[2], err[2];
        Call call;

        socket_pair(fds);
        pipe_pair(in);
        pipe_pair(out);
        pipe_pair(err);
        template.in_fd = in[0];
        template.out_fd = out[1];
        template.inherited = true;
        call = (Call){ .fd = fds[0], .in_fd = in[1], .out_fd = out[0], .err_fd = err[0] };
        call.caller = caller_start(NULL, fds[1], err[1], template);
        peer_hello(call.fd, version);
        return call;
}

static Call call_start(void) {
        return call_start_version(DATA_CALLER_INIT, 4);
}

static Call call_start_program(const char *script) {
        Call call = { .in_fd = -1, .out_fd = -1, .err_fd = -1 };
        int fds[2];

        socket_pair(fds);
        call.fd = fds[0];
        call.caller = caller_start(script, fds[1], -1, DATA_CALLER_INIT);
        peer_hello(call.fd, 4);
        return call;
}

static void call_finish(Call *call, int r, int status) {
        Report report = running_finish(&call->caller);

        fd_close(call->fd);
        fd_close(call->in_fd);
        fd_close(call->out_fd);
        fd_close(call->err_fd);
        assert_int_equal(report.r, r);
        if (r == 0)
                assert_int_equal(report.status, status);
}

static void send_exit(int fd, const char *data) {
        peer_send(fd, EXIT_CODE, data, 4);
}

static void test_plain_call(void **state) {
        Call call = call_start();

        write_all(call.in_fd, "question", 8);
        peer_expect_text(call.fd, STDIN, "question");
        peer_send(call.fd, STDOUT, "answer", 6);
        expect_bytes(call.out_fd, "answer");
        /* 84 */
        peer_send(call.fd, STDIN, "wrong type", 10);
        expect_bytes(call.out_fd, "wrong type");
        peer_send(call.fd, STDERR, "complaint", 9);
        peer_send(call.fd, STDERR, "", 0);
        call.in_fd = fd_close(call.in_fd);
        peer_expect(call.fd, STDIN, "", 0);
        peer_send(call.fd, STDOUT, "", 0);
        expect_end(call.out_fd);
        send_exit(call.fd, "\x2a\0\0\0");
        /* 76: no second end-of-file */
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 42);
}

static void test_statuses(void **state) {
        static const struct {
                const char *name, *data;
                size_t n_data;
                int status;
        } cases[] = {
                { "success", "\0\0\0\0", 4, 0 },
                { "the largest", "\xff\0\0\0", 4, 255 },
                { "256 is no success", "\0\x01\0\0", 4, 255 },
                { "5.4: -1 is a status", "\xff\xff\xff\xff", 4, 255 },
                { "81: one byte", "\0", 1, 255 },
                { "no byte", "", 0, 255 },
                { "five bytes: the first four", "\x07\0\0\0\x63", 5, 7 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Call call = call_start();

                print_message("%s\n", cases[i].name);
                peer_send(call.fd, STDOUT, "", 0);
                peer_send(call.fd, EXIT_CODE, cases[i].data, cases[i].n_data);
                /* 75: one end-of-file, and nothing else; the caller does not wait for us to close. */
                peer_expect(call.fd, STDIN, "", 0);
                peer_expect_closed(call.fd);
                call_finish(&call, 0, cases[i].status);
        }
}

/* 74: what follows the exit code is still delivered. */
static void test_data_after_exit_code(void **state) {
        Call call = call_start();

        send_exit(call.fd, "\x03\0\0\0");
        peer_expect(call.fd, STDIN, "", 0);
        peer_send(call.fd, STDOUT, "late", 4);
        expect_bytes(call.out_fd, "late");
        peer_send(call.fd, STDOUT, "", 0);
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 3);
}

/* 77: the peer closes after the exit code, while input is still unsent. */
static void test_input_unsent(void **state) {
        static const uint8_t zeros[1 << 20];
        Call call = call_start();
        pid_t writer = fork();

        assert_return_code(writer, errno);
        if (writer == 0) {
                fd_close(call.fd);
                fd_close(call.out_fd);
                (void)fd_write_full(call.in_fd, zeros, sizeof(zeros));
                _exit(0);
        }
        /* The first chunk is there, so the rest is on its way, and more than the stream holds. */
        read_exactly(call.fd, (uint8_t[8]){ 0 }, 8);
        peer_send(call.fd, STDOUT, "", 0);
        send_exit(call.fd, "\x05\0\0\0");
        call.fd = fd_close(call.fd);
        call_finish(&call, 0, 5);
}

/* 78: closed without an exit code */
static void test_no_exit_code(void **state) {
        Call call = call_start();

        peer_send(call.fd, STDOUT, "some", 4);
        call.fd = fd_close(call.fd);
        expect_bytes(call.out_fd, "some");
        call_finish(&call, 0, 255);

        call = call_start_program("exit 0");
        call.fd = fd_close(call.fd);
        call_finish(&call, 0, 255);
}

/* The exit code alone, as the answer to JUST_EXEC has it (64). */
static void test_exit_code_alone(void **state) {
        DataCaller template = DATA_CALLER_INIT;
        int fds[2];
        Call call = { .in_fd = -1, .out_fd = -1, .err_fd = -1 };

        socket_pair(fds);
        call.fd = fds[0];
        call.caller = caller_start(NULL, fds[1], -1, template);
        peer_hello(call.fd, 4);
        peer_expect(call.fd, STDIN, "", 0);
        send_exit(call.fd, "\0\0\0\0");
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 0);
}

/* 79, and the table of 5.4 */
static void test_local_program(void **state) {
        static const struct {
                const char *name, *script, *exit_code;
                int status;
        } cases[] = {
                { "both succeed", "cat >/dev/null", "\0\0\0\0", 0 },
                { "79: the remote status wins", "cat >/dev/null; exit 3", "\x04\0\0\0", 4 },
                { "79: remote success, local failure", "cat >/dev/null; exit 3", "\0\0\0\0", 3 },
                { "remote success, killed locally", "cat >/dev/null; kill -KILL $$", "\0\0\0\0", 137 },
                { "remote failure, local success", "cat >/dev/null", "\x7f\0\0\0", 127 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Call call = call_start_program(cases[i].script);

                print_message("%s\n", cases[i].name);
                peer_send(call.fd, STDOUT, "", 0);
                send_exit(call.fd, cases[i].exit_code);
                peer_expect(call.fd, STDIN, "", 0);
                peer_expect_closed(call.fd);
                call_finish(&call, 0, cases[i].status);
        }
}

static void test_local_program_data(void **state) {
        Call call = call_start_program("sed s/^/local:/");

        peer_send(call.fd, STDOUT, "line\n", 5);
        peer_send(call.fd, STDOUT, "", 0);
        peer_expect_text(call.fd, STDIN, "local:line\n");
        peer_expect(call.fd, STDIN, "", 0);
        send_exit(call.fd, "\0\0\0\0");
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 0);
}

/* 5.4 rule 6: the local program ends, its output is read to the end, and what comes for it vanishes. */
static void test_local_program_ends_first(void **state) {
        Call call = call_start_program("echo bye; exit 6");

        peer_expect_text(call.fd, STDIN, "bye\n");
        peer_expect(call.fd, STDIN, "", 0);
        peer_send(call.fd, STDOUT, "nobody", 6);
        peer_send(call.fd, STDOUT, "", 0);
        send_exit(call.fd, "\0\0\0\0");
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 6);
}

/* 5.7 works for local programs, too. */
static void test_local_program_single_socket(void **state) {
        Call call = call_start_program("kill -USR1 $QREXEC_AGENT_PID; exec >&0; echo moved; cat");

        peer_expect_text(call.fd, STDIN, "moved\n");
        peer_send(call.fd, STDOUT, "and back", 8);
        peer_expect_text(call.fd, STDIN, "and back");
        peer_send(call.fd, STDOUT, "", 0);
        peer_expect(call.fd, STDIN, "", 0);
        send_exit(call.fd, "\0\0\0\0");
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 0);
}

static void test_prefix(void **state) {
        static const uint8_t zeros[4096];
        static uint8_t data[65536];
        DataCaller template = DATA_CALLER_INIT;
        Call call;

        /* 82 */
        template.prefix = "prefix";
        template.n_prefix = 6;
        call = call_start_version(template, 4);
        write_all(call.in_fd, "stdin", 5);
        peer_expect_text(call.fd, STDIN, "prefix");
        peer_expect_text(call.fd, STDIN, "stdin");
        call.fd = fd_close(call.fd);
        call_finish(&call, 0, 255);

        /* Longer than a chunk of version 2: in pieces, and an end-of-file only at the end. */
        template.prefix = data;
        template.n_prefix = sizeof(zeros) + 1;
        call = call_start_version(template, 2);
        peer_expect(call.fd, STDIN, zeros, sizeof(zeros));
        peer_expect(call.fd, STDIN, zeros, 1);
        call.in_fd = fd_close(call.in_fd);
        peer_expect(call.fd, STDIN, "", 0);
        call.fd = fd_close(call.fd);
        call_finish(&call, 0, 255);
}

/* Version 2: no chunk above 4096, in either direction. */
static void test_version_2(void **state) {
        static uint8_t data[65536];
        Call call = call_start_version(DATA_CALLER_INIT, 2);
        size_t n_got = 0;

        /* A pipe holds this much, so it is all there for one read. */
        write_all(call.in_fd, data, sizeof(data));
        while (n_got < sizeof(data)) {
                uint32_t type;
                size_t n;

                assert_true(peer_receive(call.fd, &type, data, &n));
                assert_int_equal(type, STDIN);
                assert_in_range(n, 1, 4096);
                n_got += n;
        }
        peer_try_send(call.fd, STDOUT, data, 4097);
        call_finish(&call, DATA_CALLER_E_PROTOCOL, 0);
}

/* 5.4 rule 7: nobody reads our output; the call goes on. */
static void test_output_unwanted(void **state) {
        static const uint8_t zeros[65536];
        Call call = call_start();

        call.out_fd = fd_close(call.out_fd);
        for (int i = 0; i < 32; ++i)
                peer_send(call.fd, STDOUT, zeros, sizeof(zeros));
        write_all(call.in_fd, "still", 5);
        peer_expect_text(call.fd, STDIN, "still");
        peer_send(call.fd, STDOUT, "", 0);
        send_exit(call.fd, "\x08\0\0\0");
        peer_expect(call.fd, STDIN, "", 0);
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 8);
}

/* Output that nobody takes yet does not hold up input. */
static void test_output_stuck(void **state) {
        static const uint8_t zeros[4 << 20];
        Call call = call_start();
        pid_t sender = fork();

        assert_return_code(sender, errno);
        if (sender == 0) {
                fd_close(call.out_fd);
                peer_try_send(call.fd, STDOUT, zeros, sizeof(zeros));
                _exit(0);
        }
        write_all(call.in_fd, "input", 5);
        peer_expect_text(call.fd, STDIN, "input");
        /* The sender is in the middle of a message: nothing of ours can be said any more. */
        call.fd = fd_close(call.fd);
        assert_return_code(kill(sender, SIGKILL), errno);
        call.out_fd = fd_close(call.out_fd);
        call_finish(&call, 0, 255);
}

/* 87 */
static void test_stdin_socket(void **state) {
        DataCaller template = DATA_CALLER_INIT;
        Call call = { .in_fd = -1, .out_fd = -1, .err_fd = -1 };
        int fds[2], local[2];

        socket_pair(fds);
        socket_pair(local);
        template.in_fd = template.out_fd = local[1];
        template.inherited = true;
        call.fd = fds[0];
        call.caller = caller_start(NULL, fds[1], -1, template);
        peer_hello(call.fd, 4);
        write_all(local[0], "in", 2);
        peer_expect_text(call.fd, STDIN, "in");
        peer_send(call.fd, STDOUT, "out", 3);
        peer_send(call.fd, STDOUT, "", 0);
        expect_bytes(local[0], "out");
        expect_end(local[0]);
        write_all(local[0], "more", 4);
        peer_expect_text(call.fd, STDIN, "more");
        fd_close(local[0]);
        peer_expect(call.fd, STDIN, "", 0);
        send_exit(call.fd, "\0\0\0\0");
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 0);
}

/* 89 */
static void test_filter(void **state) {
        static const char dirty[] = "ok\t\n\r\b\a \x1b[31m\x7f\x80\xff~", clean[] = "ok\t\n\r\b\a _[31m___~";
        static const struct {
                const char *name;
                bool out, err;
        } cases[] = {
                { "stdout", true, false },
                { "stderr", false, true },
                { "neither", false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                DataCaller template = DATA_CALLER_INIT;
                Call call;

                print_message("%s\n", cases[i].name);
                template.filter_stdout = cases[i].out;
                template.filter_stderr = cases[i].err;
                call = call_start_version(template, 4);
                peer_send(call.fd, STDOUT, dirty, sizeof(dirty) - 1);
                peer_send(call.fd, STDERR, dirty, sizeof(dirty) - 1);
                expect_bytes(call.out_fd, cases[i].out ? clean : dirty);
                expect_bytes(call.err_fd, cases[i].err ? clean : dirty);
                call.fd = fd_close(call.fd);
                call_finish(&call, 0, 255);
        }
}

static void test_broken_peers(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n_bytes;
                int r;
        } cases[] = {
#define HELLO                   "\0\x03\0\0\x04\0\0\0\x04\0\0\0"
#define CASE(_name, _bytes, _r) { _name, _bytes, sizeof(_bytes) - 1, _r }
                CASE("nothing at all", "", DATA_CALLER_E_HANDSHAKE),
                CASE("half a HELLO", "\0\x03\0\0\x04", DATA_CALLER_E_HANDSHAKE),
                CASE("no HELLO", "\x91\x01\0\0\0\0\0\0", DATA_CALLER_E_HANDSHAKE),
                CASE("version 1", "\0\x03\0\0\x04\0\0\0\x01\0\0\0", DATA_CALLER_E_HANDSHAKE),
                CASE("85: an unknown type", HELLO "\x94\x01\0\0\x04\0\0\0data", DATA_CALLER_E_PROTOCOL),
                CASE("85: unknown and empty", HELLO "\x8f\x01\0\0\0\0\0\0", DATA_CALLER_E_PROTOCOL),
                CASE("a chunk of 65537", HELLO "\x91\x01\0\0\x01\0\x01\0", DATA_CALLER_E_PROTOCOL),
                CASE("an exit code of 65537", HELLO "\x93\x01\0\0\x01\0\x01\0", DATA_CALLER_E_PROTOCOL),
#undef CASE
#undef HELLO
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Call call = { .in_fd = -1, .out_fd = -1, .err_fd = -1 };
                int fds[2];

                print_message("%s\n", cases[i].name);
                socket_pair(fds);
                call.fd = fds[0];
                call.caller = caller_start(NULL, fds[1], -1, DATA_CALLER_INIT);
                write_all(call.fd, cases[i].bytes, cases[i].n_bytes);
                assert_return_code(shutdown(call.fd, SHUT_WR), errno);
                call_finish(&call, cases[i].r, 0);
        }
}

/* 1.5: a callee that never comes */
static void test_hello_limit(void **state) {
        DataCaller template = DATA_CALLER_INIT;
        Running running;
        int fds[2];

        socket_pair(fds);
        template.hello_usec = 20000;
        running = caller_start(NULL, fds[1], -1, template);
        peer_expect(fds[0], WIRE_TYPE_HELLO, "\x04\0\0\0", 4);
        assert_int_equal(running_finish(&running).r, DATA_CALLER_E_HANDSHAKE);
        fd_close(fds[0]);

        /* Once it is there, it has all the time it wants. */
        socket_pair(fds);
        template.hello_usec = 60 * USEC_PER_SEC;
        running = caller_start(NULL, fds[1], -1, template);
        peer_hello(fds[0], 4);
        send_exit(fds[0], "\x09\0\0\0");
        fd_close(fds[0]);
        assert_int_equal(running_finish(&running).status, 9);
}

/* The flags of what we inherited are our parent's, too: never changed, not even while we run. */
/* --- a status stream: the real caller is in direct mode -------------------------------------------------------- */

/* Return: the call; its other end of the status stream in @ret_status_fd */
static Call call_start_direct(int *ret_status_fd) {
        DataCaller template = DATA_CALLER_INIT;
        DataStatus status = DATA_STATUS_INIT;
        int fds[2];

        socket_pair(fds);
        status.fd = fds[0];
        template.status = &status;
        *ret_status_fd = fds[1];
        return call_start_version(template, 4);
}

static void test_status_stream(void **state) {
        static uint8_t much[DATA_STATUS_CHUNK_MAX + 1];
        int status_fd;
        Call call = call_start_direct(&status_fd);

        write_all(call.in_fd, "question", 8);
        peer_expect_text(call.fd, STDIN, "question");
        peer_send(call.fd, STDERR, "complaint", 9);
        peer_expect(status_fd, WIRE_TYPE_HELLO, "\4\0\0\0", 4);
        peer_expect_text(status_fd, STDERR, "complaint");
        memset(much, 'x', sizeof(much));
        peer_send(call.fd, STDERR, much, sizeof(much));
        peer_expect(status_fd, STDERR, much, DATA_STATUS_CHUNK_MAX);
        peer_expect_text(status_fd, STDERR, "x");
        peer_send(call.fd, STDERR, "", 0);
        peer_send(call.fd, STDOUT, "answer", 6);
        peer_send(call.fd, STDOUT, "", 0);
        expect_bytes(call.out_fd, "answer");
        expect_end(call.out_fd);
        send_exit(call.fd, "\x2a\0\0\0");
        peer_expect(call.fd, STDIN, "", 0);
        peer_expect(status_fd, EXIT_CODE, "\x2a\0\0\0", 4);
        peer_expect_closed(status_fd);
        fd_close(status_fd);
        call_finish(&call, 0, 42);
}

/* A callee that goes away without an exit code has told none. */
static void test_status_stream_lost(void **state) {
        int status_fd;
        Call call = call_start_direct(&status_fd);

        peer_send(call.fd, STDERR, "last words", 10);
        call.fd = fd_close(call.fd);
        peer_expect(status_fd, WIRE_TYPE_HELLO, "\4\0\0\0", 4);
        peer_expect_text(status_fd, STDERR, "last words");
        peer_expect_closed(status_fd);
        fd_close(status_fd);
        call_finish(&call, 0, 255);
}

/* The caller goes away: its callee hears of it at once, also one that does not wait for anything from it. */
static void test_status_stream_unread(void **state) {
        int status_fd;
        Call call = call_start_direct(&status_fd);

        peer_send(call.fd, STDOUT, "unread", 6);
        status_fd = fd_close(status_fd);
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 255);
}

/* What the caller does not read waits, and does not keep it from going away. */
static void test_status_stream_full(void **state) {
        static uint8_t much[65536];
        int status_fd;
        Call call = call_start_direct(&status_fd);
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                (void)close(status_fd);
                for (unsigned i = 0; i < 64; ++i)
                        peer_try_send(call.fd, STDERR, much, sizeof(much));
                _exit(0);
        }
        peer_expect(status_fd, WIRE_TYPE_HELLO, "\4\0\0\0", 4);
        status_fd = fd_close(status_fd);
        peer_expect_closed(call.fd);
        call_finish(&call, 0, 255);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_flags_untouched(void **state) {
        DataCaller template = DATA_CALLER_INIT;
        int fds[2], in[2], out[2];
        Call call = { .err_fd = -1 };
        int shared_in, shared_out;

        socket_pair(fds);
        pipe_pair(in);
        pipe_pair(out);
        shared_in = fcntl(in[0], F_DUPFD_CLOEXEC, 3);
        shared_out = fcntl(out[1], F_DUPFD_CLOEXEC, 3);
        template.in_fd = in[0];
        template.out_fd = out[1];
        template.inherited = true;
        call.fd = fds[0];
        call.in_fd = in[1];
        call.out_fd = out[0];
        call.caller = caller_start(NULL, fds[1], -1, template);
        peer_hello(call.fd, 4);
        write_all(call.in_fd, "x", 1);
        peer_expect_text(call.fd, STDIN, "x");
        peer_send(call.fd, STDOUT, "y", 1);
        expect_bytes(call.out_fd, "y");
        assert_false(fcntl(shared_in, F_GETFL) & O_NONBLOCK);
        assert_false(fcntl(shared_out, F_GETFL) & O_NONBLOCK);
        call.fd = fd_close(call.fd);
        call_finish(&call, 0, 255);
        fd_close(shared_in);
        fd_close(shared_out);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_plain_call, peer_setup),
                cmocka_unit_test_setup(test_statuses, peer_setup),
                cmocka_unit_test_setup(test_data_after_exit_code, peer_setup),
                cmocka_unit_test_setup(test_input_unsent, peer_setup),
                cmocka_unit_test_setup(test_no_exit_code, peer_setup),
                cmocka_unit_test_setup(test_exit_code_alone, peer_setup),
                cmocka_unit_test_setup(test_local_program, peer_setup),
                cmocka_unit_test_setup(test_local_program_data, peer_setup),
                cmocka_unit_test_setup(test_local_program_ends_first, peer_setup),
                cmocka_unit_test_setup(test_local_program_single_socket, peer_setup),
                cmocka_unit_test_setup(test_prefix, peer_setup),
                cmocka_unit_test_setup(test_version_2, peer_setup),
                cmocka_unit_test_setup(test_output_unwanted, peer_setup),
                cmocka_unit_test_setup(test_output_stuck, peer_setup),
                cmocka_unit_test_setup(test_stdin_socket, peer_setup),
                cmocka_unit_test_setup(test_filter, peer_setup),
                cmocka_unit_test_setup(test_broken_peers, peer_setup),
                cmocka_unit_test_setup(test_hello_limit, peer_setup),
                cmocka_unit_test_setup(test_status_stream, peer_setup),
                cmocka_unit_test_setup(test_status_stream_lost, peer_setup),
                cmocka_unit_test_setup(test_status_stream_unread, peer_setup),
                cmocka_unit_test_setup(test_status_stream_full, peer_setup),
                cmocka_unit_test_setup(test_flags_untouched, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
