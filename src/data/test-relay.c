/* SPDX-License-Identifier: Apache-2.0 */
/* One direction, step by step: nothing here may ever block, so one process plays all sides. */
#undef NDEBUG
#include "test-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "data/relay.h"

#define OURS      DATA_RELAY_KIND_OURS
#define INHERITED DATA_RELAY_KIND_INHERITED
#define TWO_WAY   DATA_RELAY_KIND_TWO_WAY

/* Run until nothing goes any more without something from outside. */
static void settle(DataRelay *relay) {
        for (unsigned i = 0; i < 10000; ++i) {
                struct pollfd sources[2];

                data_relay_want(relay, sources);
                if (poll(sources, 2, 0) == 0)
                        return;
                assert_int_equal(data_relay_run(relay, sources), 0);
                if (!data_relay_is_open(relay))
                        return;
        }
        fail_msg("it spins");
}

static int temporary_file(int flags) {
        char path[] = "/tmp/test-relay.XXXXXX";
        int fd = mkstemp(path), other;

        assert_true(fd >= 0);
        other = open(path, O_RDWR | O_CLOEXEC | flags);
        unlink(path);
        fd_close(fd);
        return other;
}

typedef enum What {
        PIPE,
        SOCKET,
        SOCKET_OURS,
        FILE_,
        APPENDED,
} What;

/* An end for the relay (writable or readable), and the other side of it; of a file, the file once more. */
static void make(What what, bool writable, int *ret_relay_fd, int *ret_fd, DataRelayKind *ret_kind) {
        int fds[2];

        *ret_kind = what == SOCKET_OURS ? OURS : INHERITED;
        switch (what) {
        case PIPE:
                pipe_pair(fds);
                *ret_relay_fd = fds[writable ? 1 : 0];
                *ret_fd = fds[writable ? 0 : 1];
                return;
        case SOCKET:
        case SOCKET_OURS:
                socket_pair(fds);
                *ret_relay_fd = fds[0];
                *ret_fd = fds[1];
                return;
        case FILE_:
        case APPENDED:
                *ret_relay_fd = temporary_file(what == APPENDED ? O_APPEND : 0);
                *ret_fd = dup(*ret_relay_fd);
                return;
        }
}

static void test_to(void **state) {
        static const struct {
                const char *name;
                What what;
                bool filter, copies;
        } cases[] = {
                { "a pipe", PIPE, false, false },
                { "a shared socket", SOCKET, false, true },
                { "a socket of ours", SOCKET_OURS, false, false },
                { "a file", FILE_, false, false },
                { "a file that is appended to", APPENDED, false, true },
                { "a pipe, filtered", PIPE, true, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                DataRelay relay = DATA_RELAY_INIT;
                DataRelayKind kind;
                char data[16] = "";
                int channel[2], to_fd, fd, flags;

                pipe_pair(channel);
                make(cases[i].what, true, &to_fd, &fd, &kind);
                flags = fcntl(to_fd, F_GETFL);
                relay.filter = cases[i].filter;
                data_relay_init(&relay, channel[0], OURS, to_fd, kind);
                settle(&relay);
                write_all(channel[1], "ab\033", 3);
                settle(&relay);
                if (kind != OURS && fcntl(to_fd, F_GETFL) != flags)
                        fail_msg("%s: its flags were changed", cases[i].name);
                if (relay.copies != cases[i].copies)
                        fail_msg("%s: %s", cases[i].name, relay.copies ? "copied" : "spliced");
                if (cases[i].what == FILE_ || cases[i].what == APPENDED)
                        assert_int_equal(pread(fd, data, sizeof(data), 0), 3);
                else
                        assert_int_equal(read(fd, data, sizeof(data)), 3);
                if (strcmp(data, cases[i].filter ? "ab_" : "ab\033") != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, data);

                fd_close(channel[1]);
                settle(&relay);
                assert_false(data_relay_is_open(&relay));
                if (cases[i].what != FILE_ && cases[i].what != APPENDED)
                        expect_end(fd);
                data_relay_close(&relay);
                fd_close(fd);
        }
}

static void test_from(void **state) {
        static const struct {
                const char *name;
                What what;
                bool copies;
        } cases[] = {
                { "a pipe", PIPE, false },
                { "a shared socket", SOCKET, false },
                { "a socket of ours", SOCKET_OURS, false },
                { "a file", FILE_, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                DataRelay relay = DATA_RELAY_INIT;
                DataRelayKind kind;
                int channel[2], from_fd, fd, flags;

                pipe_pair(channel);
                make(cases[i].what, false, &from_fd, &fd, &kind);
                if (cases[i].what == FILE_) {
                        write_all(fd, "abc", 3);
                        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
                }
                flags = fcntl(from_fd, F_GETFL);
                data_relay_init(&relay, from_fd, kind, channel[1], OURS);
                if (cases[i].what != FILE_)
                        write_all(fd, "abc", 3);
                if (kind != OURS && fcntl(from_fd, F_GETFL) != flags)
                        fail_msg("%s: its flags were changed", cases[i].name);
                settle(&relay);
                if (relay.copies != cases[i].copies)
                        fail_msg("%s: %s", cases[i].name, relay.copies ? "copied" : "spliced");
                expect_bytes(channel[0], "abc");
                fd_close(fd);
                settle(&relay);
                assert_false(data_relay_is_open(&relay));
                expect_end(channel[0]);
                fd_close(channel[0]);
        }
}

/* What waits for room does not spin, and goes on when there is some. */
static void test_back_pressure(void **state) {
        static uint8_t data[300000], got[300000];

        for (int filter = 0; filter <= 1; ++filter) {
                DataRelay relay = DATA_RELAY_INIT;
                size_t n_got = 0, n_given = 0;
                const struct sched_param parameters = {};
                int from[2], to[2];

                assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &parameters), 0);
                memset(data, 'x', sizeof(data));
                pipe_pair(from);
                pipe_pair(to);
                assert_int_equal(fd_set_nonblocking(from[1], true), 0);
                assert_int_equal(fd_set_nonblocking(to[0], true), 0);
                relay.filter = filter;
                data_relay_init(&relay, from[0], INHERITED, to[1], OURS);
                while (n_got < sizeof(data)) {
                        ssize_t n;

                        n = n_given < sizeof(data) ? write(from[1], data + n_given, sizeof(data) - n_given) : 0;
                        n_given += n > 0 ? (size_t)n : 0;
                        settle(&relay);
                        n = read(to[0], got + n_got, sizeof(got) - n_got);
                        n_got += n > 0 ? (size_t)n : 0;
                }
                assert_memory_equal(data, got, sizeof(data));
                assert_true(relay.growth.grown);
                /* Only one that never has a person to answer to. */
                assert_int_equal(sched_getscheduler(0), filter ? SCHED_OTHER : SCHED_BATCH);
                fd_close(from[1]);
                settle(&relay);
                assert_false(data_relay_is_open(&relay));
                fd_close(to[0]);
        }
}

static void test_reader_leaves(void **state) {
        for (int drain = 0; drain <= 1; ++drain) {
                DataRelay relay = DATA_RELAY_INIT;
                int from[2], to[2];

                pipe_pair(from);
                pipe_pair(to);
                relay.drain = drain;
                data_relay_init(&relay, from[0], OURS, to[1], INHERITED);
                settle(&relay);
                fd_close(to[0]);
                /* Seen although nothing is to be written. */
                settle(&relay);
                assert_int_equal(data_relay_is_open(&relay), drain);
                if (drain) {
                        write_all(from[1], "dropped", 7);
                        settle(&relay);
                        assert_true(data_relay_is_open(&relay));
                        fd_close(from[1]);
                        settle(&relay);
                        assert_false(data_relay_is_open(&relay));
                } else {
                        assert_int_equal(write(from[1], "x", 1), -1);
                        assert_int_equal(errno, EPIPE);
                        fd_close(from[1]);
                }
        }
}

static void test_prefix(void **state) {
        static uint8_t prefix[200000], got[200001];
        DataRelay relay = DATA_RELAY_INIT;
        size_t n_got = 0;
        int from[2], to[2];

        memset(prefix, 'p', sizeof(prefix));
        pipe_pair(from);
        pipe_pair(to);
        relay.pending = (WireSlice){ prefix, sizeof(prefix) };
        data_relay_init(&relay, from[0], INHERITED, to[1], OURS);
        write_all(from[1], "d", 1);
        fd_close(from[1]);
        assert_int_equal(fd_set_nonblocking(to[0], true), 0);
        while (n_got < sizeof(got)) {
                ssize_t n;

                settle(&relay);
                n = read(to[0], got + n_got, sizeof(got) - n_got);
                n_got += n > 0 ? (size_t)n : 0;
        }
        assert_memory_equal(got, prefix, sizeof(prefix));
        assert_int_equal(got[sizeof(prefix)], 'd');
        settle(&relay);
        assert_false(data_relay_is_open(&relay));
        fd_close(to[0]);
}

/* One socket for both directions: each is ended by itself. */
static void test_two_way(void **state) {
        DataRelay in = DATA_RELAY_INIT, out = DATA_RELAY_INIT;
        int local[2], to[2], from[2];

        socket_pair(local);
        pipe_pair(to);
        pipe_pair(from);
        data_relay_init(&in, local[0], TWO_WAY, to[1], OURS);
        data_relay_init(&out, from[0], OURS, dup(local[0]), TWO_WAY);
        fd_close(from[1]);
        settle(&out);
        assert_false(data_relay_is_open(&out));
        expect_end(local[1]);
        write_all(local[1], "more", 4);
        settle(&in);
        expect_bytes(to[0], "more");
        fd_close(local[1]);
        settle(&in);
        assert_false(data_relay_is_open(&in));
        fd_close(to[0]);
}

static void test_nothing_to_read(void **state) {
        DataRelay relay = DATA_RELAY_INIT;
        int to[2];

        pipe_pair(to);
        data_relay_init(&relay, -1, INHERITED, to[1], OURS);
        assert_false(data_relay_is_open(&relay));
        expect_end(to[0]);
        fd_close(to[0]);
        data_relay_close(&relay);
}

/* An empty device ends the direction before anything is waited for, but not before a prefix has gone. */
static void test_from_null(void **state) {
        for (int prefix = 0; prefix <= 1; ++prefix) {
                DataRelay relay = DATA_RELAY_INIT;
                int to[2];

                pipe_pair(to);
                relay.pending = (WireSlice){ (const uint8_t *)"prefix", prefix ? 6 : 0 };
                data_relay_init(&relay, open("/dev/null", O_RDONLY | O_CLOEXEC), INHERITED, to[1],
                                DATA_RELAY_KIND_PIPE);
                assert_int_equal(data_relay_is_open(&relay), prefix);
                settle(&relay);
                if (prefix)
                        expect_bytes(to[0], "prefix");
                expect_end(to[0]);
                fd_close(to[0]);
                data_relay_close(&relay);
        }
}

/* Where the output goes to no terminal, the choice by default leaves it alone, and it is spliced; to one, it is not. */
static void test_filter_by_default(void **state) {
        for (int terminal = 0; terminal <= 1; ++terminal) {
                DataRelay relay = DATA_RELAY_INIT;
                int from[2], to[2] = { -1, -1 };

                pipe_pair(from);
                if (terminal)
                        to[1] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
                else
                        pipe_pair(to);
                assert_true(to[1] >= 0);
                relay.filter = DATA_FILTER_TERMINAL;
                data_relay_init(&relay, from[0], DATA_RELAY_KIND_PIPE, to[1], INHERITED);
                assert_int_equal(relay.filter, terminal ? DATA_FILTER_ON : DATA_FILTER_OFF);
                assert_int_equal(relay.copies, terminal);
                data_relay_close(&relay);
                fd_close(from[1]);
                fd_close(to[0]);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_to, peer_setup),
                cmocka_unit_test_setup(test_from, peer_setup),
                cmocka_unit_test_setup(test_back_pressure, peer_setup),
                cmocka_unit_test_setup(test_reader_leaves, peer_setup),
                cmocka_unit_test_setup(test_prefix, peer_setup),
                cmocka_unit_test_setup(test_two_way, peer_setup),
                cmocka_unit_test_setup(test_nothing_to_read, peer_setup),
                cmocka_unit_test_setup(test_from_null, peer_setup),
                cmocka_unit_test_setup(test_filter_by_default, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
