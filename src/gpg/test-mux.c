/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/mux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "gpg/frame.h"

/* A multiplexer and the ends that the test holds. */
typedef struct Rig {
        GpgMux *mux;
        int peer_in, peer_out; /* what the mux receives; what it sends */
        int feed[2];           /* its sources' other ends */
        int drain[3];          /* its sinks' */
} Rig;

static void rig_open(Rig *rig) {
        GpgFds sources = { .n = 2 }, sinks = { .n = 3 };
        int in[2], out[2], ends[2];

        assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
        for (size_t i = 0; i < sources.n; ++i) {
                assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
                sources.fds[i] = ends[0];
                rig->feed[i] = ends[1];
        }
        for (size_t i = 0; i < sinks.n; ++i) {
                /* One of each kind: a pipe that may block, one that does not, a socket. */
                if (i == 2)
                        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
                else
                        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
                if (i == 1)
                        assert_int_equal(fd_set_nonblocking(ends[1], true), 0);
                sinks.fds[i] = ends[1];
                rig->drain[i] = ends[0];
        }
        assert_int_equal(gpg_mux_new(in[0], out[1], &sources, &sinks, &rig->mux), 0);
        rig->peer_in = in[1];
        rig->peer_out = out[0];
}

static void put(int fd, const void *data, size_t n) {
        assert_int_equal(fd_write_full(fd, data, n), 0);
}

static void put_frame(int fd, size_t index, const char *text) {
        uint8_t header[GPG_FRAME_HEADER_SIZE];

        gpg_frame_encode_header(index, strlen(text), header);
        put(fd, header, sizeof(header));
        put(fd, text, strlen(text));
}

static void put_exit(int fd, uint8_t status) {
        uint8_t header[GPG_FRAME_HEADER_SIZE];

        gpg_frame_encode_exit(status, header);
        put(fd, header, sizeof(header));
}

static void expect(int fd, const void *data, size_t n) {
        uint8_t read_data[4096];

        assert_true(n <= sizeof(read_data));
        assert_int_equal(fd_read_full(fd, read_data, n), 0);
        assert_memory_equal(read_data, data, n);
}

static void expect_end(int fd) {
        char byte;

        assert_int_equal(read(fd, &byte, 1), 0);
}

static void test_to_sinks(void **state) {
        uint8_t status = 0;
        Rig rig;

        rig_open(&rig);
        put_frame(rig.peer_in, 0, "zero");
        put_frame(rig.peer_in, 1, "one");
        put_frame(rig.peer_in, 2, "two");
        put_frame(rig.peer_in, 1, ""); /* its end */
        put_frame(rig.peer_in, 1, "after the end");
        put_exit(rig.peer_in, 7);
        assert_int_equal(gpg_mux_run_client(rig.mux, &status), 0);
        assert_int_equal(status, 7);
        expect(rig.drain[0], "zero", 4);
        expect(rig.drain[1], "one", 3);
        expect_end(rig.drain[1]);
        expect(rig.drain[2], "two", 3);
        gpg_mux_free(rig.mux);
}

/* What nobody reads is dropped, and the others go on. */
static void test_reader_gone(void **state) {
        uint8_t status = 1;
        Rig rig;

        rig_open(&rig);
        close(rig.drain[0]);
        close(rig.drain[2]);
        put_frame(rig.peer_in, 0, "for nobody");
        put_frame(rig.peer_in, 2, "for nobody");
        put_frame(rig.peer_in, 0, "again");
        put_frame(rig.peer_in, 1, "for somebody");
        put_exit(rig.peer_in, 0);
        assert_int_equal(gpg_mux_run_client(rig.mux, &status), 0);
        assert_int_equal(status, 0);
        expect(rig.drain[1], "for somebody", 12);
        gpg_mux_free(rig.mux);
}

/* Somebody who takes no more may have said before how it ended. */
static void test_peer_takes_no_more(void **state) {
        uint8_t status = 1;
        Rig rig;

        rig_open(&rig);
        close(rig.peer_out);
        put(rig.feed[0], "input", 5);
        put_exit(rig.peer_in, 2);
        assert_int_equal(gpg_mux_run_client(rig.mux, &status), 0);
        assert_int_equal(status, 2);
        gpg_mux_free(rig.mux);
}

static void test_ends(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                int r;
        } cases[] = {
                { "between frames", "", 0, GPG_MUX_E_HANGUP },
                { "in a header", "\0\0\0", 3, GPG_MUX_E_TRUNCATED },
                { "in data", "\0\0\0\0\2\0\0\0a", 9, GPG_MUX_E_TRUNCATED },
                { "after nonsense", "\5\0\0\0\1\0\0\0", 8, GPG_MUX_E_PROTOCOL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t status;
                Rig rig;
                int r;

                rig_open(&rig);
                put(rig.peer_in, cases[i].bytes, cases[i].n);
                close(rig.peer_in);
                r = gpg_mux_run_client(rig.mux, &status);
                if (r != cases[i].r)
                        fail_msg("%s: got %d", cases[i].name, r);
                gpg_mux_free(rig.mux);
        }
}

/* A source that fails is not one that ends. */
static void test_source_fails(void **state) {
        int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        GpgFds sources = { { folder }, 1 }, sinks = {};
        uint8_t status;
        GpgMux *mux;
        int in[2], out[2];

        assert_true(folder >= 0);
        assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(gpg_mux_new(in[0], out[1], &sources, &sinks, &mux), 0);
        assert_int_equal(gpg_mux_run_client(mux, &status), GPG_MUX_E_SOURCE);
        gpg_mux_free(mux);
}

/* As a server: until the sources have ended and the process has, too. */
static void test_server(void **state) {
        static const char sent[] = "\0\0\0\0\3\0\0\0abc"
                                   "\1\0\0\0\0\0\0\0"
                                   "\0\0\0\0\0\0\0\0"
                                   "\xfc\xff\xff\xff\0\0\0\0";
        pid_t pid = fork();
        int status, pidfd;
        Rig rig;

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(3);
        pidfd = pidfd_open(pid, 0);
        rig_open(&rig);
        put(rig.feed[0], "abc", 3);
        close(rig.feed[0]);
        close(rig.feed[1]);
        assert_int_equal(gpg_mux_run_server(rig.mux, pidfd), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(gpg_mux_send_exit(rig.mux, (uint8_t)WEXITSTATUS(status)), 0);
        expect(rig.peer_out, sent, sizeof(sent) - 1);
        gpg_mux_free(rig.mux);
}

/* An exit frame is the server's own. */
static void test_server_no_exit(void **state) {
        Rig rig;

        rig_open(&rig);
        put_exit(rig.peer_in, 0);
        assert_int_equal(gpg_mux_run_server(rig.mux, -1), GPG_MUX_E_PROTOCOL);
        gpg_mux_free(rig.mux);
}

/* More than all the buffers hold, to a reader who takes it later than the other end sends: both directions at once. */
static void test_much(void **state) {
        enum { CHUNKS = 300, CHUNK = 4096 };
        static uint8_t chunk[CHUNK];
        int there[2], back[2];
        pid_t echo, feeder;
        uint8_t status = 1;
        GpgMux *mux;
        int file = memfd_create("sink", MFD_CLOEXEC), source[2];
        GpgFds sources = {}, sinks = {};

        assert_int_equal(pipe2(there, O_CLOEXEC), 0);
        assert_int_equal(pipe2(back, O_CLOEXEC), 0);
        assert_int_equal(pipe2(source, O_CLOEXEC), 0);
        memset(chunk, 'x', sizeof(chunk));
        feeder = fork();
        if (feeder == 0) {
                for (int i = 0; i < CHUNKS; ++i)
                        if (fd_write_full(source[1], chunk, sizeof(chunk)))
                                _exit(1);
                _exit(0);
        }
        close(source[1]);
        /* The other side: says everything back, frame by frame, and then an exit. */
        echo = fork();
        if (echo == 0) {
                uint8_t header[GPG_FRAME_HEADER_SIZE];

                for (;;) {
                        uint32_t n;

                        if (fd_read_full(there[0], header, sizeof(header)))
                                _exit(1);
                        memcpy(&n, header + 4, sizeof(n));
                        if (n > sizeof(chunk) || fd_read_full(there[0], chunk, n))
                                _exit(1);
                        if (fd_write_full(back[1], header, sizeof(header)) || fd_write_full(back[1], chunk, n))
                                _exit(1);
                        if (n == 0)
                                break;
                }
                gpg_frame_encode_exit(0, header);
                _exit(fd_write_full(back[1], header, sizeof(header)) ? 1 : 0);
        }
        close(there[0]);
        close(back[1]);
        assert_int_equal(fd_set_nonblocking(back[0], true), 0);
        assert_int_equal(fd_set_nonblocking(there[1], true), 0);
        sources.fds[sources.n++] = source[0];
        sinks.fds[sinks.n++] = fcntl(file, F_DUPFD_CLOEXEC, 3);
        assert_int_equal(gpg_mux_new(back[0], there[1], &sources, &sinks, &mux), 0);
        assert_int_equal(gpg_mux_run_client(mux, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(lseek(file, 0, SEEK_END), CHUNKS * CHUNK);
        assert_int_equal(waitpid(feeder, NULL, 0), feeder);
        assert_int_equal(waitpid(echo, NULL, 0), echo);
        gpg_mux_free(mux);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_to_sinks),           cmocka_unit_test(test_reader_gone),
                cmocka_unit_test(test_peer_takes_no_more), cmocka_unit_test(test_ends),
                cmocka_unit_test(test_source_fails),       cmocka_unit_test(test_server),
                cmocka_unit_test(test_server_no_exit),     cmocka_unit_test(test_much),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
