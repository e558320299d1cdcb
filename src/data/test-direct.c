/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's end against a status stream that has been written beforehand: what it makes of it. */
#undef NDEBUG
#include "test-peer.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "data/direct.h"

#define HELLO      "\x00\x03\0\0\x04\0\0\0\x04\0\0\0"
#define EXIT(_n)   "\x93\x01\0\0\x04\0\0\0" _n "\0\0\0"
#define STDERR     "\x92\x01\0\0\x04\0\0\0oo\033\n"
#define STDERR_END "\x92\x01\0\0\0\0\0\0"

/* Return: a pidfd of a child that ends with @status at once */
static int child_start(int status) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(status);
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void test_status(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                int child; /* -1: no program */
                int r, status;
                const char *err;
        } cases[] = {
#define CASE(_name, _input, _child, _r, _status, _err) { _name, _input, sizeof(_input) - 1, _child, _r, _status, _err }
                CASE("success", HELLO EXIT("\0"), -1, 0, 0, ""),
                CASE("failure", HELLO EXIT("\x2a"), -1, 0, 42, ""),
                CASE("the program's", HELLO EXIT("\0"), 7, 0, 7, ""),
                CASE("the service's before the program's", HELLO EXIT("\x2a"), 7, 0, 42, ""),
                CASE("messages first", HELLO STDERR STDERR EXIT("\1"), -1, 0, 1, "oo_\noo_\n"),
                CASE("an end of messages, which nobody needs", HELLO STDERR_END EXIT("\1"), -1, 0, 1, ""),
                CASE("nothing", "", -1, 0, 255, ""),
                CASE("nothing, with a program", "", 0, 0, 255, ""),
                CASE("HELLO alone", HELLO, -1, 0, 255, ""),
                CASE("half an exit code", HELLO "\x93\x01\0\0\x04\0\0\0\x01\0", -1, 0, 255, ""),
                CASE("messages alone", HELLO STDERR, -1, 0, 255, "oo_\n"),
                CASE("256", HELLO "\x93\x01\0\0\x04\0\0\0\0\1\0\0", -1, 0, 255, ""),
                CASE("data, which has its own pipe", HELLO "\x91\x01\0\0\1\0\0\0x" EXIT("\1"), -1, 0, 1, ""),
                CASE("no HELLO", EXIT("\0"), -1, DATA_DIRECT_E_PROTOCOL, 0, ""),
                CASE("an unknown type", HELLO "\x94\x01\0\0\1\0\0\0x", -1, DATA_DIRECT_E_PROTOCOL, 0, ""),
                CASE("too long", HELLO "\x92\x01\0\0\1\0\1\0", -1, DATA_DIRECT_E_PROTOCOL, 0, ""),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                DataDirect direct = DATA_DIRECT_INIT;
                int status_fds[2], in[2], out[2], local_in[2], local_out[2], err[2], status = -1, r;
                char text[64] = "";
                bool program = cases[i].child >= 0;

                socket_pair(status_fds);
                pipe_pair(err);
                write_all(status_fds[0], cases[i].input, cases[i].n_input);
                fd_close(status_fds[0]);
                direct.status_fd = status_fds[1];
                direct.err_fd = err[1];
                direct.filter_stderr = true;
                direct.inherited = true;
                if (program) {
                        direct.child_pidfd = child_start(cases[i].child);
                } else {
                        /* The service has gone, and what it wrote is in the pipe; our stdin stays open. */
                        pipe_pair(in);
                        pipe_pair(out);
                        pipe_pair(local_in);
                        pipe_pair(local_out);
                        write_all(out[1], "out", 3);
                        fd_close(out[1]);
                        direct.stdin_fd = in[1];
                        direct.stdout_fd = out[0];
                        direct.in_fd = local_in[0];
                        direct.out_fd = local_out[1];
                }
                r = data_direct_run(&direct, &status);
                if (r != cases[i].r)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].r);
                if (r == 0 && status != cases[i].status)
                        fail_msg("%s: status %d, want %d", cases[i].name, status, cases[i].status);
                fd_close(err[1]);
                (void)!read(err[0], text, sizeof(text) - 1);
                if (strcmp(text, cases[i].err) != 0)
                        fail_msg("%s: messages \"%s\"", cases[i].name, text);
                fd_close(err[0]);
                if (program)
                        continue;
                if (r == 0) {
                        expect_bytes(local_out[0], "out");
                        expect_end(local_out[0]);
                }
                /* Everything of ours is closed, or these would not end. */
                expect_end(in[0]);
                assert_int_equal(write(local_in[1], "x", 1), -1);
                fd_close(in[0]);
                fd_close(local_in[1]);
                fd_close(local_out[0]);
        }
}

/* A service that closed its stdout and goes on: err_fd ends, and what it says then is nobody's; its exit code comes. */
static void test_err_follows_out(void **state) {
        DataDirect direct = DATA_DIRECT_INIT;
        int status_fds[2], in[2], out[2], local_in[2], local_out[2], err[2], status = -1;
        pid_t service;

        socket_pair(status_fds);
        pipe_pair(err);
        pipe_pair(in);
        pipe_pair(out);
        pipe_pair(local_in);
        pipe_pair(local_out);
        service = fork();
        if (service == 0) {
                char text[8];

                close(err[1]);
                close(out[1]);
                if (write(status_fds[0], HELLO STDERR, sizeof(HELLO STDERR) - 1) < 0)
                        _exit(1);
                if (read(err[0], text, sizeof(text)) != 4 || read(err[0], text, 1) != 0)
                        _exit(2);
                _exit(write(status_fds[0], STDERR EXIT("\x05"), sizeof(STDERR EXIT("\x05")) - 1) < 0);
        }
        fd_close(status_fds[0]);
        fd_close(out[1]);
        fd_close(err[0]);
        direct.status_fd = status_fds[1];
        direct.err_fd = err[1];
        direct.err_follows_out = true;
        direct.stdin_fd = in[1];
        direct.stdout_fd = out[0];
        direct.in_fd = local_in[0];
        direct.out_fd = local_out[1];
        assert_int_equal(data_direct_run(&direct, &status), 0);
        assert_int_equal(status, 5);
        expect_end(local_out[0]);
        assert_int_equal(waitpid(service, &status, 0), service);
        assert_int_equal(status, 0);
        fd_close(err[1]);
        fd_close(in[0]);
        fd_close(local_in[1]);
        fd_close(local_out[0]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_status, peer_setup),
                cmocka_unit_test_setup(test_err_follows_out, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
