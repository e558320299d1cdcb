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
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "wire/header.h"

#define STDIN     WIRE_TYPE_DATA_STDIN
#define STDOUT    WIRE_TYPE_DATA_STDOUT
#define STDERR    WIRE_TYPE_DATA_STDERR
#define EXIT_CODE WIRE_TYPE_DATA_EXIT_CODE

typedef struct Call {
        int fd; /* the peer's end of the stream */
        Running handler;
} Call;

static Call call_start(const char *script) {
        int fds[2];
        Call call;

        socket_pair(fds);
        call.fd = fds[0];
        call.handler = callee_start(script, fds[1], DATA_CALLEE_INIT);
        peer_hello(call.fd, 4);
        return call;
}

/* A socket service, played by the test at *@ret_service_fd. */
static Call call_start_socket(DataCallee template, int *ret_service_fd) {
        int fds[2], service[2];
        Call call;

        socket_pair(fds);
        socket_pair(service);
        call.fd = fds[0];
        template.in_fd = service[1];
        call.handler = callee_start(NULL, fds[1], template);
        *ret_service_fd = service[0];
        peer_hello(call.fd, 4);
        return call;
}

static void call_finish(Call *call, int status, CallHow how) {
        Report report = running_finish(&call->handler);

        fd_close(call->fd);
        assert_int_equal(report.r, 0);
        assert_int_equal(report.status, status);
        assert_int_equal(report.how, how);
}

/* All the rest of a call: this output, both end-of-files, in any order (60), the exit code, and nothing more. */
static void call_expect_rest(Call *call, const char *out, const char *err, int status) {
        const char *rest[2] = { out, err };
        bool ended[2] = {};

        while (!ended[0] || !ended[1]) {
                static uint8_t data[65536];
                uint32_t type;
                size_t i, n;

                assert_true(peer_receive(call->fd, &type, data, &n));
                assert_in_range(type, STDOUT, STDERR);
                i = type - STDOUT;
                assert_false(ended[i]);
                assert_in_range(n, 0, strlen(rest[i]));
                assert_memory_equal(data, rest[i], n);
                rest[i] += n;
                ended[i] = n == 0;
        }
        assert_string_equal(rest[0], "");
        assert_string_equal(rest[1], "");
        peer_expect_exit(call->fd, status);
        peer_expect_closed(call->fd);
}

static void call_expect_end(Call *call, int status) {
        call_expect_rest(call, "", "", status);
}

static void test_statuses(void **state) {
        static const struct {
                const char *name, *script;
                int status;
                CallHow how;
        } cases[] = {
                { "60, 66: success, stdin never closed", "exit 0", 0, CALL_HOW_EXITED },
                { "66: failure, stdin never closed", "exit 42", 42, CALL_HOW_EXITED },
                { "the largest status", "exit 255", 255, CALL_HOW_EXITED },
                { "80: killed by signal 9", "kill -KILL $$", 137, CALL_HOW_SIGNALLED },
                { "killed by signal 15", "kill -TERM $$", 143, CALL_HOW_SIGNALLED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Call call = call_start(cases[i].script);

                print_message("%s\n", cases[i].name);
                call_expect_end(&call, cases[i].status);
                call_finish(&call, cases[i].status, cases[i].how);
        }
}

static void test_echo(void **state) {
        Call call = call_start("cat; echo end >&2; exit 7");

        peer_send(call.fd, STDIN, "hello", 5);
        peer_expect_text(call.fd, STDOUT, "hello");
        /* 84's mirror: the wrong one of both data types is data, too (5.2). */
        peer_send(call.fd, STDOUT, "again", 5);
        peer_expect_text(call.fd, STDOUT, "again");
        /* 83 */
        peer_send(call.fd, STDERR, "ignored", 7);
        peer_send(call.fd, STDERR, "", 0);
        peer_send(call.fd, EXIT_CODE, "\x05\0\0\0", 4);
        peer_send(call.fd, STDIN, "still there", 11);
        peer_expect_text(call.fd, STDOUT, "still there");
        peer_send(call.fd, STDIN, "", 0);
        call_expect_rest(&call, "", "end\n", 7);
        call_finish(&call, 7, CALL_HOW_EXITED);
}

/* 67: the background child holds stdout open; 68: it reads the end of stdin when the main process is gone. */
static void test_background_child(void **state) {
        Call call = call_start("{ cat; echo cat ended; } <&0 & exit 3");

        call_expect_rest(&call, "cat ended\n", "", 3);
        call_finish(&call, 3, CALL_HOW_EXITED);
}

/* 69: stdout ends at once, and the call goes on. */
static void test_early_stdout_end(void **state) {
        Call call = call_start("exec >&-; cat >&2; exit 4");

        peer_expect(call.fd, STDOUT, "", 0);
        peer_send(call.fd, STDIN, "more", 4);
        peer_expect_text(call.fd, STDERR, "more");
        peer_send(call.fd, STDIN, "", 0);
        peer_expect(call.fd, STDERR, "", 0);
        peer_expect_exit(call.fd, 4);
        peer_expect_closed(call.fd);
        call_finish(&call, 4, CALL_HOW_EXITED);
}

/*
 * A line that the test writes lets a service go on: its script reads it from $GATE1. A script that waits twice has a
 * second gate: at the first, its next look could find the test's descriptor not yet closed, and then the end.
 */
#define N_GATES 2
static char gate_dir[] = "/tmp/test-callee-XXXXXX";
static char gate_paths[N_GATES][sizeof(gate_dir) + sizeof("/gate1")];

static int gate_setup(void **state) {
        assert_non_null(mkdtemp(gate_dir));
        for (int i = 0; i < N_GATES; ++i) {
                char name[] = { 'G', 'A', 'T', 'E', (char)('1' + i), '\0' };

                (void)snprintf(gate_paths[i], sizeof(gate_paths[i]), "%s/gate%d", gate_dir, i + 1);
                assert_return_code(mkfifo(gate_paths[i], 0600), errno);
                assert_return_code(setenv(name, gate_paths[i], 1), errno);
        }
        return 0;
}

static int gate_teardown(void **state) {
        for (int i = 0; i < N_GATES; ++i)
                assert_return_code(unlink(gate_paths[i]), errno);
        assert_return_code(rmdir(gate_dir), errno);
        return 0;
}

static void gate_open(int gate) {
        int fd = open(gate_paths[gate - 1], O_WRONLY | O_CLOEXEC);

        assert_return_code(fd, errno);
        write_all(fd, "\n", 1);
        fd_close(fd);
}

static void send_zeros(int fd, size_t n_chunks) {
        static const uint8_t chunk[65536];

        for (size_t i = 0; i < n_chunks; ++i)
                peer_send(fd, STDIN, chunk, sizeof(chunk));
}

/* 70: input vanishes silently when the service has closed its stdin. */
static void test_early_stdin_end(void **state) {
        Call call = call_start("exec <&-; echo closed; read x <$GATE1; exit 6");

        peer_expect_text(call.fd, STDOUT, "closed\n");
        send_zeros(call.fd, 64);
        peer_send(call.fd, STDIN, "", 0);
        gate_open(1);
        call_expect_end(&call, 6);
        call_finish(&call, 6, CALL_HOW_EXITED);
}

/* 86: 256 KiB for a service that does not read yet; and its output is not held up by that. */
static void test_slow_reader(void **state) {
        Call call = call_start("echo ready; read x <$GATE1; wc -c");

        peer_expect_text(call.fd, STDOUT, "ready\n");
        send_zeros(call.fd, 4);
        gate_open(1);
        peer_send(call.fd, STDIN, "", 0);
        call_expect_rest(&call, "262144\n", "", 0);
        call_finish(&call, 0, CALL_HOW_EXITED);
}

/* A stdin that is stuck for good does not stop stdout. */
static void test_stuck_stdin(void **state) {
        Call call = call_start("echo ready; read x <$GATE1; echo still here; read x <$GATE2; exit 1");
        pid_t sender;

        peer_expect_text(call.fd, STDOUT, "ready\n");
        /* More than service, handler and stream can hold: this sender is stuck until the call is over. */
        sender = fork();
        assert_return_code(sender, errno);
        if (sender == 0) {
                static const uint8_t zeros[4 << 20];

                peer_try_send(call.fd, STDIN, zeros, sizeof(zeros));
                _exit(0);
        }
        gate_open(1);
        peer_expect_text(call.fd, STDOUT, "still here\n");
        assert_int_equal(waitpid(sender, NULL, WNOHANG), 0);
        gate_open(2);
        call_expect_end(&call, 1);
        call_finish(&call, 1, CALL_HOW_EXITED);
        assert_int_equal(waitpid(sender, NULL, 0), sender);
}

/* 88: output moves to the stdin socket, without an end-of-file in between, and nothing written before is lost. */
static void test_single_socket_mode(void **state) {
        static const struct {
                const char *name, *script, *output;
        } cases[] = {
                { "88: asked first", "kill -USR1 $QREXEC_AGENT_PID; exec >&-; echo moved >&0; cat <&0 >&0",
                  "moved\nhi" },
                { "written before", "printf before; kill -USR1 $QREXEC_AGENT_PID; exec >&0; echo moved; cat",
                  "beforemoved\nhi" },
                { "twice",
                  "kill -USR1 $QREXEC_AGENT_PID; echo a >&0; kill -USR1 $QREXEC_AGENT_PID; echo b >&0; cat >&0",
                  "a\nb\nhi" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Call call = call_start(cases[i].script);

                print_message("%s\n", cases[i].name);
                peer_send(call.fd, STDIN, "hi", 2);
                peer_send(call.fd, STDIN, "", 0);
                call_expect_rest(&call, cases[i].output, "", 0);
                call_finish(&call, 0, CALL_HOW_EXITED);
        }
}

/* 90 */
static void test_stderr_can_be_reopened(void **state) {
        Call call = call_start("echo reopened >/proc/self/fd/2");

        call_expect_rest(&call, "", "reopened\n", 0);
        call_finish(&call, 0, CALL_HOW_EXITED);
}

/* 61, 71 */
static void test_socket_service(void **state) {
        static const struct {
                const char *name;
                bool client_first;
        } cases[] = {
                { "71: the caller ends first", true },
                { "71: the service ends first", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int service_fd;
                DataCallee template = DATA_CALLEE_INIT;
                Call call;

                print_message("%s\n", cases[i].name);
                template.prefix = "my.svc+arg work";
                template.n_prefix = 16;
                call = call_start_socket(template, &service_fd);
                peer_expect(call.fd, STDERR, "", 0);
                peer_send(call.fd, STDIN, "data", 4);
                expect_bytes(service_fd, "my.svc+arg work");
                read_exactly(service_fd, (char[1]){ 0 }, 1);
                expect_bytes(service_fd, "data");
                if (cases[i].client_first) {
                        peer_send(call.fd, STDIN, "", 0);
                        expect_end(service_fd);
                        write_all(service_fd, "answer", 6);
                        peer_expect_text(call.fd, STDOUT, "answer");
                        fd_close(service_fd);
                        peer_expect(call.fd, STDOUT, "", 0);
                } else {
                        assert_return_code(shutdown(service_fd, SHUT_WR), errno);
                        peer_expect(call.fd, STDOUT, "", 0);
                        peer_send(call.fd, STDIN, "more", 4);
                        expect_bytes(service_fd, "more");
                        peer_send(call.fd, STDIN, "", 0);
                        expect_end(service_fd);
                        fd_close(service_fd);
                }
                peer_expect_exit(call.fd, 0);
                peer_expect_closed(call.fd);
                call_finish(&call, 0, CALL_HOW_EXITED);
        }
}

/* A service that hangs up ends both directions: the caller's end need not come. */
static void test_socket_service_hangs_up(void **state) {
        int service_fd;
        Call call = call_start_socket(DATA_CALLEE_INIT, &service_fd);

        peer_expect(call.fd, STDERR, "", 0);
        write_all(service_fd, "bye", 3);
        fd_close(service_fd);
        peer_expect_text(call.fd, STDOUT, "bye");
        peer_expect(call.fd, STDOUT, "", 0);
        peer_expect_exit(call.fd, 0);
        peer_expect_closed(call.fd);
        call_finish(&call, 0, CALL_HOW_EXITED);
}

static void test_exit_on_eof(void **state) {
        static const struct {
                const char *name;
                bool client, service;
        } cases[] = {
                { "72: exit-on-client-eof, the service keeps its socket open", true, false },
                { "73: exit-on-service-eof, the caller keeps stdin open", false, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                DataCallee template = DATA_CALLEE_INIT;
                int service_fd;
                Call call;

                print_message("%s\n", cases[i].name);
                template.exit_on_client_eof = cases[i].client;
                template.exit_on_service_eof = cases[i].service;
                call = call_start_socket(template, &service_fd);
                peer_expect(call.fd, STDERR, "", 0);
                if (cases[i].client)
                        peer_send(call.fd, STDIN, "", 0);
                else
                        assert_return_code(shutdown(service_fd, SHUT_WR), errno);
                peer_expect(call.fd, STDOUT, "", 0);
                peer_expect_exit(call.fd, 0);
                peer_expect_closed(call.fd);
                call_finish(&call, 0, CALL_HOW_EXITED);
                fd_close(service_fd);
        }
}

static int answer_failed(int stream_fd) {
        return data_callee_fail(stream_fd, 127);
}

static int answer_failed_host(int stream_fd) {
        return data_callee_fail_host(stream_fd, 127);
}

static int answer_detached(int stream_fd) {
        return data_callee_detached(stream_fd, 0);
}

static void test_answers(void **state) {
        static const struct {
                const char *name;
                int (*answer)(int stream_fd);
                size_t n_before; /* what is said without an answer */
                const char *messages;
                size_t n_messages;
        } cases[] = {
#define HELLO                                      "\x00\x03\0\0\x04\0\0\0\x04\0\0\0"
#define CASE(_name, _answer, _n_before, _messages) { _name, _answer, _n_before, _messages, sizeof(_messages) - 1 }
                CASE("62: both end-of-files, then 127", answer_failed, 12,
                     HELLO "\x91\x01\0\0\0\0\0\0\x92\x01\0\0\0\0\0\0\x93\x01\0\0\x04\0\0\0\x7f\0\0\0"),
                CASE("63: of a host, which waits to be spoken to", answer_failed_host, 0,
                     HELLO "\x92\x01\0\0\0\0\0\0\x91\x01\0\0\0\0\0\0\x93\x01\0\0\x04\0\0\0\x7f\0\0\0"),
                CASE("64: one message", answer_detached, 12, HELLO "\x93\x01\0\0\x04\0\0\0\0\0\0\0"),
#undef CASE
#undef HELLO
        };
        static const struct {
                const char *name, *hello;
                size_t n_hello;
                bool answered;
        } peers[] = {
#define CASE(_name, _hello, _answered) { _name, _hello, sizeof(_hello) - 1, _answered }
                CASE("a caller with data", "\0\x03\0\0\x04\0\0\0\x04\0\0\0\x90\x01\0\0\x02\0\0\0hi", true),
                CASE("version 2", "\0\x03\0\0\x04\0\0\0\x02\0\0\0", true),
                CASE("version 1", "\0\x03\0\0\x04\0\0\0\x01\0\0\0", false),
                CASE("gone", "", false),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                for (size_t k = 0; k < ARRAY_SIZE(peers); ++k) {
                        size_t n_messages = peers[k].answered ? cases[i].n_messages : cases[i].n_before;
                        uint8_t got[64];
                        int fds[2];

                        print_message("%s, %s\n", cases[i].name, peers[k].name);
                        socket_pair(fds);
                        write_all(fds[0], peers[k].hello, peers[k].n_hello);
                        if (peers[k].n_hello == 0)
                                assert_return_code(shutdown(fds[0], SHUT_WR), errno);
                        assert_int_equal(cases[i].answer(fds[1]), 0);
                        read_exactly(fds[0], got, n_messages);
                        assert_memory_equal(got, cases[i].messages, n_messages);
                        peer_expect_closed(fds[0]);
                        fd_close(fds[0]);
                }
}

/* Version 2: chunks of 4096 in both directions, however much there is. */
static void test_version_2(void **state) {
        static uint8_t data[65536], zeros[4096];
        size_t n_got = 0;
        Call call;
        int fds[2];

        socket_pair(fds);
        call.fd = fds[0];
        /* cat holds back until all input is there, so that its output is there at once. */
        call.handler =
                callee_start("x=$(cat | tr '\\0' x); printf %s \"$x\"; read x <$GATE1", fds[1], DATA_CALLEE_INIT);
        peer_hello(call.fd, 2);
        for (int i = 0; i < 16; ++i)
                peer_send(call.fd, STDIN, zeros, sizeof(zeros));
        peer_send(call.fd, STDIN, "", 0);
        while (n_got < 16 * sizeof(zeros)) {
                uint32_t type;
                size_t n;

                assert_true(peer_receive(call.fd, &type, data, &n));
                assert_int_equal(type, STDOUT);
                assert_in_range(n, 1, 4096);
                n_got += n;
        }
        gate_open(1);
        call_expect_end(&call, 0);
        call_finish(&call, 0, CALL_HOW_EXITED);
}

/* What no caller sends ends the connection without a further message; the service is waited for. */
static void test_broken_peers(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n_bytes;
        } cases[] = {
#define HELLO               "\0\x03\0\0\x04\0\0\0\x04\0\0\0"
#define CASE(_name, _bytes) { _name, _bytes, sizeof(_bytes) - 1 }
                CASE("nothing at all", ""),
                CASE("half a HELLO", "\0\x03\0\0\x04\0"),
                CASE("no HELLO", "\x90\x01\0\0\x04\0\0\0data"),
                CASE("a HELLO of 5 bytes", "\0\x03\0\0\x05\0\0\0\x04\0\0\0\0"),
                CASE("version 1", "\0\x03\0\0\x04\0\0\0\x01\0\0\0"),
                CASE("85: an unknown type", HELLO "\x94\x01\0\0\x04\0\0\0data"),
                CASE("a second HELLO", HELLO HELLO),
                CASE("a chunk of 65537", HELLO "\x90\x01\0\0\x01\0\x01\0"),
                CASE("version 2, a chunk of 4097", "\0\x03\0\0\x04\0\0\0\x02\0\0\0\x90\x01\0\0\x01\x10\0\0"),
                CASE("gone without a word", HELLO),
                CASE("gone in a chunk", HELLO "\x90\x01\0\0\x04\0\0\0da"),
#undef CASE
#undef HELLO
        };

        for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); ++i) {
                size_t which = i / 2, n_bytes = cases[which].n_bytes;
                bool is_host = i % 2, has_hello = n_bytes >= 12 &&
                                                  memcmp(cases[which].bytes, "\0\x03\0\0\x04", 5) == 0 &&
                                                  cases[which].bytes[8] >= 2;
                DataCallee template = DATA_CALLEE_INIT;
                Call call;
                int fds[2];

                print_message("%s%s\n", cases[which].name, is_host ? ", of a host" : "");
                socket_pair(fds);
                call.fd = fds[0];
                template.is_host = is_host;
                call.handler = callee_start("cat >/dev/null; exit 9", fds[1], template);
                write_all(call.fd, cases[which].bytes, n_bytes);
                assert_return_code(shutdown(call.fd, SHUT_WR), errno);
                /* A16: a host says nothing before it has heard a HELLO. */
                if (!is_host || has_hello)
                        peer_expect(call.fd, WIRE_TYPE_HELLO, "\x04\0\0\0", 4);
                peer_expect_closed(call.fd);
                call_finish(&call, 9, CALL_HOW_ABANDONED);
        }
}

/* 5.8: the service gets EPIPE from its next write, and its own time to end. */
static void test_peer_vanishes(void **state) {
        Call call =
                call_start("trap '' PIPE; echo ready; cat >/dev/null; read x <$GATE1; echo x 2>/dev/null || exit 11");

        peer_expect_text(call.fd, STDOUT, "ready\n");
        call.fd = fd_close(call.fd);
        gate_open(1);
        call_finish(&call, 11, CALL_HOW_ABANDONED);
}

/* What was sent before the caller vanished is still the service's, however slowly it takes it. */
static void test_peer_vanishes_after_data(void **state) {
        Call call = call_start("read x <$GATE1; exit $(($(wc -c) / 4096))");

        send_zeros(call.fd, 4);
        call.fd = fd_close(call.fd);
        gate_open(1);
        call_finish(&call, 64, CALL_HOW_ABANDONED);
}

static void on_watch_kill(void *userdata) {
        uint64_t value;
        int *fd = userdata;

        /* The service is the only child of its handler. */
        if (read(*fd, &value, sizeof(value)) == sizeof(value))
                (void)kill((pid_t)value, SIGKILL);
}

static void test_watch(void **state) {
        static const struct {
                const char *name;
                bool orphaned;
        } cases[] = {
                { "while running", false },
                { "after the caller is gone", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int fds[2], watch_fd = eventfd(0, EFD_CLOEXEC);
                DataCallee template = DATA_CALLEE_INIT;
                char pid_text[16] = {};
                uint64_t pid;
                Call call;

                print_message("%s\n", cases[i].name);
                assert_return_code(watch_fd, errno);
                socket_pair(fds);
                template.watch_fd = watch_fd;
                template.on_watch = on_watch_kill;
                template.userdata = &watch_fd;
                call.fd = fds[0];
                call.handler = callee_start("trap '' PIPE; printf %015d $$; exec sleep 1000", fds[1], template);
                peer_hello(call.fd, 4);
                read_exactly(call.fd, (uint8_t[8]){ 0 }, 8);
                read_exactly(call.fd, pid_text, 15);
                pid = strtoul(pid_text, NULL, 10);
                if (cases[i].orphaned)
                        call.fd = fd_close(call.fd);
                write_all(watch_fd, &pid, sizeof(pid));
                if (!cases[i].orphaned)
                        call_expect_end(&call, 137);
                call_finish(&call, 137, cases[i].orphaned ? CALL_HOW_ABANDONED : CALL_HOW_SIGNALLED);
                fd_close(watch_fd);
        }
}

static void on_stderr_copy(void *userdata, const void *data, size_t n) {
        write_all(*(int *)userdata, data, n);
}

static void test_stderr_copy(void **state) {
        DataCallee template = DATA_CALLEE_INIT;
        int fds[2], copy[2];
        Call call;

        socket_pair(fds);
        socket_pair(copy);
        template.on_stderr = on_stderr_copy;
        template.userdata = &copy[1];
        template.watch_fd = copy[1]; /* kept open in the handler; nothing is ever there to read */
        call.fd = fds[0];
        call.handler = callee_start("echo oops >&2", fds[1], template);
        peer_hello(call.fd, 4);
        call_expect_rest(&call, "", "oops\n", 0);
        expect_bytes(copy[0], "oops\n");
        call_finish(&call, 0, CALL_HOW_EXITED);
        fd_close(copy[0]);
        fd_close(copy[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_statuses, peer_setup),
                cmocka_unit_test_setup(test_echo, peer_setup),
                cmocka_unit_test_setup(test_background_child, peer_setup),
                cmocka_unit_test_setup(test_early_stdout_end, peer_setup),
                cmocka_unit_test_setup(test_early_stdin_end, peer_setup),
                cmocka_unit_test_setup(test_slow_reader, peer_setup),
                cmocka_unit_test_setup(test_stuck_stdin, peer_setup),
                cmocka_unit_test_setup(test_single_socket_mode, peer_setup),
                cmocka_unit_test_setup(test_stderr_can_be_reopened, peer_setup),
                cmocka_unit_test_setup(test_socket_service, peer_setup),
                cmocka_unit_test_setup(test_socket_service_hangs_up, peer_setup),
                cmocka_unit_test_setup(test_exit_on_eof, peer_setup),
                cmocka_unit_test_setup(test_answers, peer_setup),
                cmocka_unit_test_setup(test_version_2, peer_setup),
                cmocka_unit_test_setup(test_broken_peers, peer_setup),
                cmocka_unit_test_setup(test_peer_vanishes, peer_setup),
                cmocka_unit_test_setup(test_peer_vanishes_after_data, peer_setup),
                cmocka_unit_test_setup(test_watch, peer_setup),
                cmocka_unit_test_setup(test_stderr_copy, peer_setup),
        };

        return cmocka_run_group_tests(tests, gate_setup, gate_teardown);
}
