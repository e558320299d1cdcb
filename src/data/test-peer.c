/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "test-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "data/bridge.h"
#include "data/prepare.h"
#include "wire/header.h"

/** No test takes a tenth of this, under sanitizers on a busy machine either. */
#define TEST_SECONDS_MAX 120

int peer_setup(void **state) {
        (void)signal(SIGPIPE, SIG_IGN);
        alarm(TEST_SECONDS_MAX);
        return 0;
}

void socket_pair(int ret_fds[2]) {
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds), errno);
}

void pipe_pair(int ret_fds[2]) {
        assert_return_code(pipe2(ret_fds, O_CLOEXEC), errno);
}

void write_all(int fd, const void *data, size_t n) {
        assert_int_equal(fd_write_full(fd, data, n), 0);
}

void read_exactly(int fd, void *data, size_t n) {
        assert_int_equal(fd_read_full(fd, data, n), 0);
}

void expect_bytes(int fd, const char *text) {
        char *data = malloc(strlen(text) + 1);

        assert_non_null(data);
        read_exactly(fd, data, strlen(text));
        assert_memory_equal(data, text, strlen(text));
        free(data);
}

void expect_end(int fd) {
        uint8_t byte;

        assert_int_equal(fd_read_full(fd, &byte, 1), FD_E_EOF);
}

void peer_try_send(int fd, uint32_t type, const uint8_t *data, size_t n) {
        while (n > 0) {
                size_t n_chunk = n < 65536 ? n : 65536;
                uint8_t header[WIRE_HEADER_SIZE];

                wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)n_chunk }, header);
                if (fd_write_full(fd, header, sizeof(header)) || fd_write_full(fd, data, n_chunk))
                        return;
                data += n_chunk;
                n -= n_chunk;
        }
}

void peer_send(int fd, uint32_t type, const void *data, size_t n) {
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)n }, header);
        write_all(fd, header, sizeof(header));
        write_all(fd, data, n);
}

void peer_hello(int fd, uint32_t version) {
        uint8_t data[4] = { (uint8_t)version };

        peer_send(fd, WIRE_TYPE_HELLO, data, sizeof(data));
        peer_expect(fd, WIRE_TYPE_HELLO, "\x04\0\0\0", 4);
}

bool peer_receive(int fd, uint32_t *ret_type, uint8_t ret_data[static 65536], size_t *ret_n) {
        uint8_t data[WIRE_HEADER_SIZE];
        WireHeader header;
        int r;

        r = fd_read_full(fd, data, sizeof(data));
        if (r == FD_E_EOF || r == -ECONNRESET)
                return false;
        assert_int_equal(r, 0);
        assert_int_equal(wire_header_decode(data, sizeof(data), &header), 0);
        assert_in_range(header.length, 0, 65536);
        read_exactly(fd, ret_data, header.length);
        *ret_type = header.type;
        *ret_n = header.length;
        return true;
}

void peer_expect(int fd, uint32_t type, const void *data, size_t n) {
        static uint8_t got[65536];
        uint32_t got_type;
        size_t n_got;

        if (!peer_receive(fd, &got_type, got, &n_got))
                fail_msg("closed instead of message 0x%x", type);
        if (got_type != type || n_got != n)
                fail_msg("message 0x%x of %zu bytes instead of 0x%x of %zu", got_type, n_got, type, n);
        assert_memory_equal(got, data, n);
}

void peer_expect_text(int fd, uint32_t type, const char *text) {
        peer_expect(fd, type, text, strlen(text));
}

void peer_expect_exit(int fd, int status) {
        uint8_t data[4] = { (uint8_t)status };

        peer_expect(fd, WIRE_TYPE_DATA_EXIT_CODE, data, sizeof(data));
}

void peer_expect_closed(int fd) {
        static uint8_t got[65536];
        uint32_t type;
        size_t n;

        if (peer_receive(fd, &type, got, &n))
                fail_msg("message 0x%x of %zu bytes instead of the end", type, n);
}

/* fork(), with a pipe for the report. Return: 0 in the child */
static pid_t running_fork(Running *ret_running, int *ret_report_fd) {
        int fds[2];
        pid_t pid;

        pipe_pair(fds);
        pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0) {
                fd_close(fds[0]);
                *ret_report_fd = fds[1];
                return 0;
        }
        fd_close(fds[1]);
        *ret_running = (Running){ .pid = pid, .report_fd = fds[0] };
        return pid;
}

static void running_report(int report_fd, Report report) {
        (void)fd_write_full(report_fd, &report, sizeof(report));
        _exit(0);
}

Report running_finish(Running *running) {
        Report report;
        int status;

        read_exactly(running->report_fd, &report, sizeof(report));
        expect_end(running->report_fd);
        running->report_fd = fd_close(running->report_fd);
        assert_int_equal(waitpid(running->pid, &status, 0), running->pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return report;
}

/* In the child of a test: start `sh -c SCRIPT` with these descriptors. Return: its pidfd */
static int program_start(const char *script, int in_fd, int out_fd, int err_fd) {
        char pid_text[16];
        pid_t pid;
        int pidfd;

        (void)snprintf(pid_text, sizeof(pid_text), "%d", (int)getpid());
        (void)setenv("QREXEC_AGENT_PID", pid_text, 1);
        pid = fork();
        if (pid == 0) {
                (void)dup2(in_fd, 0);
                (void)dup2(out_fd, 1);
                if (err_fd >= 0)
                        (void)dup2(err_fd, 2);
                (void)data_restore();
                execl("/bin/sh", "sh", "-c", script, NULL);
                _exit(99);
        }
        fd_close(in_fd);
        fd_close(out_fd);
        fd_close(err_fd);
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pid < 0 || pidfd < 0)
                _exit(98);
        return pidfd;
}

static void close_others(const int *keep, size_t n_keep) {
        for (int fd = 3; fd < 64; ++fd) {
                bool kept = false;

                for (size_t i = 0; i < n_keep; ++i)
                        kept |= keep[i] == fd;
                if (!kept)
                        fd_close(fd);
        }
}

/* @stdin_fd, @stdout_fd: the caller's pipes; -1: framed */
static Running callee_fork(const char *script, int stream_fd, int stdin_fd, int stdout_fd, DataCallee template) {
        Running running;
        int report_fd;

        if (running_fork(&running, &report_fd) == 0) {
                DataCallee callee = template;
                DataOutcome outcome = {};
                int r;

                close_others((int[]){ report_fd, stream_fd, stdin_fd, stdout_fd, template.in_fd, template.watch_fd },
                             6);
                if (data_prepare())
                        _exit(97);
                callee.stream_fd = stream_fd;
                callee.out_fd = callee.in_fd;
                if (script) {
                        int in[2], out[2], err[2];

                        socket_pair(in);
                        socket_pair(out);
                        pipe_pair(err);
                        callee.in_fd = in[0];
                        callee.out_fd = out[0];
                        callee.err_fd = err[0];
                        callee.child_pidfd = program_start(script, in[1], out[1], err[1]);
                }
                r = stdin_fd >= 0 ? data_bridge_run(&callee, stdin_fd, stdout_fd, &outcome)
                                  : data_callee_run(&callee, &outcome);
                if (callee.stream_fd >= 0 || callee.in_fd >= 0 || callee.out_fd >= 0 || callee.err_fd >= 0 ||
                    callee.child_pidfd >= 0)
                        _exit(96);
                running_report(report_fd, (Report){ .r = r, .status = outcome.status, .how = outcome.how });
        }
        fd_close(stream_fd);
        fd_close(stdin_fd);
        fd_close(stdout_fd);
        fd_close(template.in_fd);
        return running;
}

Running callee_start(const char *script, int stream_fd, DataCallee template) {
        return callee_fork(script, stream_fd, -1, -1, template);
}

Running bridge_start(const char *script, int status_fd, int stdin_fd, int stdout_fd, DataCallee template) {
        return callee_fork(script, status_fd, stdin_fd, stdout_fd, template);
}

Running caller_start(const char *script, int stream_fd, int err_fd, DataCaller template) {
        Running running;
        int report_fd;

        if (running_fork(&running, &report_fd) == 0) {
                DataCaller caller = template;
                int status_fd = template.status ? template.status->fd : -1;
                int status = -1;
                int r;

                close_others((int[]){ report_fd, stream_fd, err_fd, template.in_fd, template.out_fd, status_fd }, 6);
                if (data_prepare())
                        _exit(97);
                if (err_fd >= 0)
                        (void)dup2(err_fd, 2);
                err_fd = fd_close(err_fd);
                caller.stream_fd = stream_fd;
                if (script) {
                        int in[2], out[2];

                        socket_pair(in);
                        socket_pair(out);
                        caller.out_fd = in[0];
                        caller.in_fd = out[0];
                        caller.child_pidfd = program_start(script, in[1], out[1], -1);
                }
                r = data_caller_run(&caller, &status);
                if (caller.stream_fd >= 0 || caller.in_fd >= 0 || caller.out_fd >= 0 || caller.child_pidfd >= 0)
                        _exit(96);
                running_report(report_fd, (Report){ .r = r, .status = status });
        }
        fd_close(stream_fd);
        fd_close(err_fd);
        if (template.status)
                data_status_deinit(template.status);
        fd_close(template.in_fd);
        if (template.out_fd != template.in_fd)
                fd_close(template.out_fd);
        return running;
}
