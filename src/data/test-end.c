/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "test-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "data/end.h"

static uint8_t data[1 << 20];

/* Write until no more goes. Return: how much went */
static size_t fill(DataEnd *end) {
        size_t n_all = 0, n;
        int r;

        while ((r = data_end_write(end, data, sizeof(data), &n)) == 0)
                n_all += n;
        assert_int_equal(r, DATA_END_E_AGAIN);
        return n_all;
}

/* Whatever the kind: all room is used, then there is none; room again, then nobody; and the flags stay. */
static void test_write(void **state) {
        static const struct {
                const char *name;
                bool socket, inherited, own;
        } cases[] = {
                { "a socket", true, false, false },
                { "an inherited socket", true, true, false },
                { "a pipe", false, false, false },
                { "an inherited pipe", false, true, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                DataEnd end;
                int fds[2];
                size_t n;

                print_message("%s\n", cases[i].name);
                if (cases[i].socket)
                        socket_pair(fds);
                else
                        pipe_pair(fds);
                data_end_init(&end, fds[1], true, cases[i].inherited);
                assert_int_equal(end.own_fd >= 0, cases[i].own);
                assert_in_range(fill(&end), 65536, sizeof(data));
                assert_int_equal(poll(&(struct pollfd){ .fd = data_end_poll_fd(&end), .events = POLLOUT }, 1, 0), 0);
                assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);

                fds[0] = fd_close(fds[0]);
                assert_int_equal(data_end_write(&end, data, 1, &n), DATA_END_E_EOF);
                data_end_deinit(&end);
                data_end_deinit(&end);
                assert_int_equal(end.fd, -1);
                assert_int_equal(end.own_fd, -1);
        }
}

/* A pipe that is not ours alone to set flags on takes no more at once than what surely does not block. */
static void test_write_piece(void **state) {
        DataEnd end;
        int fds[2];
        size_t n;

        pipe_pair(fds);
        data_end_init(&end, fds[1], true, false);
        assert_int_equal(data_end_write(&end, data, sizeof(data), &n), 0);
        assert_int_equal(n, PIPE_BUF);
        assert_int_equal(data_end_write(&end, data, PIPE_BUF - 1, &n), 0);
        assert_int_equal(n, PIPE_BUF - 1);
        data_end_deinit(&end);
        fd_close(fds[0]);
}

static void test_read(void **state) {
        static const struct {
                const char *name;
                bool socket, inherited;
        } cases[] = {
                { "a socket", true, false },
                { "an inherited socket", true, true },
                { "a pipe", false, false },
                { "an inherited pipe", false, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t got[16];
                DataEnd end;
                int fds[2];
                size_t n;

                print_message("%s\n", cases[i].name);
                if (cases[i].socket)
                        socket_pair(fds);
                else
                        pipe_pair(fds);
                data_end_init(&end, fds[0], false, cases[i].inherited);
                assert_false(data_end_is_readable(&end));
                if (cases[i].socket || cases[i].inherited)
                        assert_int_equal(data_end_read(&end, got, sizeof(got), &n), DATA_END_E_AGAIN);
                write_all(fds[1], "hello", 5);
                assert_true(data_end_is_readable(&end));
                assert_int_equal(data_end_read(&end, got, sizeof(got), &n), 0);
                assert_int_equal(n, 5);
                assert_memory_equal(got, "hello", 5);
                assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
                fds[1] = fd_close(fds[1]);
                assert_true(data_end_is_readable(&end));
                assert_int_equal(data_end_read(&end, got, sizeof(got), &n), DATA_END_E_EOF);
                data_end_deinit(&end);
        }
}

/* A terminal that somebody stopped (Ctrl-S) must not stop us. */
static void test_terminal(void **state) {
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
        uint8_t got[16];
        DataEnd in, out;
        size_t n;

        assert_return_code(master, errno);
        assert_return_code(grantpt(master), errno);
        assert_return_code(unlockpt(master), errno);
        slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_return_code(slave, errno);

        data_end_init(&in, fcntl(slave, F_DUPFD_CLOEXEC, 3), false, true);
        data_end_init(&out, fcntl(slave, F_DUPFD_CLOEXEC, 3), true, true);
        assert_true(in.own_fd >= 0);
        assert_true(out.own_fd >= 0);
        assert_int_equal(data_end_read(&in, got, sizeof(got), &n), DATA_END_E_AGAIN);
        write_all(master, "line\n", 5);
        assert_int_equal(data_end_read(&in, got, sizeof(got), &n), 0);
        assert_int_equal(n, 5);
        assert_true(fill(&out) > 0);
        assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
        data_end_deinit(&in);
        data_end_deinit(&out);
        fd_close(slave);
        fd_close(master);
}

static void test_others(void **state) {
        char path[] = "/tmp/test-end-XXXXXX";
        int file = mkostemp(path, O_CLOEXEC | O_APPEND), null = open("/dev/null", O_RDWR | O_CLOEXEC);
        int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint8_t got[16];
        DataEnd end;
        size_t n;

        assert_return_code(file, errno);
        assert_return_code(unlink(path), errno);
        data_end_init(&end, file, true, true);
        assert_int_equal(end.own_fd, -1); /* another description would have an offset of its own */
        assert_int_equal(data_end_write(&end, data, sizeof(data), &n), 0);
        assert_int_equal(n, sizeof(data));
        assert_int_equal(data_end_read(&end, got, sizeof(got), &n), DATA_END_E_EOF);
        data_end_deinit(&end);

        data_end_init(&end, null, true, true);
        assert_int_equal(data_end_write(&end, data, sizeof(data), &n), 0);
        assert_int_equal(data_end_read(&end, got, sizeof(got), &n), DATA_END_E_EOF);
        data_end_deinit(&end);

        data_end_init(&end, folder, false, true);
        assert_int_equal(data_end_read(&end, got, sizeof(got), &n), DATA_END_E_FAILED);
        assert_int_equal(data_end_write(&end, data, 1, &n), DATA_END_E_FAILED);
        data_end_deinit(&end);

        data_end_init(&end, -1, false, false);
        assert_int_equal(data_end_poll_fd(&end), -1);
        data_end_deinit(&end);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_write, peer_setup),  cmocka_unit_test_setup(test_write_piece, peer_setup),
                cmocka_unit_test_setup(test_read, peer_setup),   cmocka_unit_test_setup(test_terminal, peer_setup),
                cmocka_unit_test_setup(test_others, peer_setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
