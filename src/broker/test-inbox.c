/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "broker/inbox.h"

#define SCRATCH_SIZE 256
#define TYPE_GOOD    0x213
#define SIZE_MAX_OK  100

static unsigned n_asked;

static bool may_be(uint32_t type, size_t n) {
        ++n_asked;
        return type == TYPE_GOOD && n <= SIZE_MAX_OK;
}

typedef struct Pipe {
        int ours, theirs;
        Inbox inbox;
        uint8_t scratch[SCRATCH_SIZE];
        InboxMessage message;
} Pipe;

static void pipe_open(Pipe *pipe) {
        int fds[2];

        *pipe = (Pipe){};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        pipe->ours = fds[0];
        pipe->theirs = fds[1];
}

static void pipe_close(Pipe *pipe) {
        inbox_deinit(&pipe->inbox);
        fd_close(pipe->ours);
        fd_close(pipe->theirs);
}

static int pipe_receive(Pipe *pipe) {
        return inbox_receive(&pipe->inbox, pipe->ours, pipe->scratch, sizeof(pipe->scratch), may_be, NULL,
                             &pipe->message);
}

static size_t make_message(uint8_t data[static SCRATCH_SIZE], uint32_t type, uint32_t n) {
        wire_header_encode((WireHeader){ .type = type, .length = n }, data);
        for (uint32_t i = 0; i < n && WIRE_HEADER_SIZE + i < SCRATCH_SIZE; ++i)
                data[WIRE_HEADER_SIZE + i] = (uint8_t)i;
        return WIRE_HEADER_SIZE + n;
}

static void test_every_split(void **state) {
        uint8_t data[SCRATCH_SIZE];
        size_t n = make_message(data, TYPE_GOOD, SIZE_MAX_OK);

        for (size_t first = 0; first <= n; ++first) {
                Pipe pipe;

                pipe_open(&pipe);
                if (first > 0)
                        assert_int_equal(write(pipe.theirs, data, first), first);
                if (first < n) {
                        assert_int_equal(pipe_receive(&pipe), INBOX_E_MORE);
                        assert_int_equal(write(pipe.theirs, data + first, n - first), n - first);
                }
                assert_int_equal(pipe_receive(&pipe), 0);
                assert_int_equal(pipe.message.header.type, TYPE_GOOD);
                assert_int_equal(pipe.message.header.length, SIZE_MAX_OK);
                assert_memory_equal(pipe.message.payload, data + WIRE_HEADER_SIZE, SIZE_MAX_OK);
                inbox_take(&pipe.inbox, pipe.ours, NULL);
                assert_int_equal(pipe_receive(&pipe), INBOX_E_MORE);
                pipe_close(&pipe);
        }
}

static void test_byte_by_byte(void **state) {
        uint8_t data[SCRATCH_SIZE];
        size_t n = make_message(data, TYPE_GOOD, 20);
        Pipe pipe;

        pipe_open(&pipe);
        for (size_t i = 0; i < n; ++i) {
                assert_int_equal(write(pipe.theirs, data + i, 1), 1);
                assert_int_equal(pipe_receive(&pipe), i + 1 < n ? INBOX_E_MORE : 0);
        }
        assert_memory_equal(pipe.message.payload, data + WIRE_HEADER_SIZE, 20);
        pipe_close(&pipe);
}

static void test_refused(void **state) {
        static const struct {
                const char *name;
                uint32_t type, n_claimed;
                size_t n_sent;
        } cases[] = {
                { "unknown type", 0x999, 10, WIRE_HEADER_SIZE },
                { "one byte over the limit", TYPE_GOOD, SIZE_MAX_OK + 1, WIRE_HEADER_SIZE },
                { "4 GiB", TYPE_GOOD, UINT32_MAX, WIRE_HEADER_SIZE },
                { "a byte too many", TYPE_GOOD, 10, WIRE_HEADER_SIZE + 11 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t data[SCRATCH_SIZE] = {};
                Pipe pipe;

                pipe_open(&pipe);
                wire_header_encode((WireHeader){ .type = cases[i].type, .length = cases[i].n_claimed }, data);
                assert_int_equal(write(pipe.theirs, data, cases[i].n_sent), cases[i].n_sent);
                if (pipe_receive(&pipe) != INBOX_E_REFUSED)
                        fail_msg("%s: accepted", cases[i].name);
                assert_int_equal(pipe.inbox.n_data, 0); /* nothing was kept for it */
                pipe.ours = fd_close(pipe.ours);
                assert_int_equal(read(pipe.theirs, data, 1), 0); /* an end, not a reset */
                pipe_close(&pipe);
        }
}

static void test_eof(void **state) {
        uint8_t data[SCRATCH_SIZE];
        Pipe pipe;

        make_message(data, TYPE_GOOD, 20);
        pipe_open(&pipe);
        assert_int_equal(write(pipe.theirs, data, 10), 10);
        assert_int_equal(pipe_receive(&pipe), INBOX_E_MORE);
        pipe.theirs = fd_close(pipe.theirs);
        assert_int_equal(pipe_receive(&pipe), INBOX_E_EOF);
        pipe_close(&pipe);
}

/* Whoever sent a message learns whether its reader took it before it died. */
static void test_taken_or_not(void **state) {
        for (int is_taken = 0; is_taken <= 1; ++is_taken) {
                uint8_t data[SCRATCH_SIZE];
                size_t n = make_message(data, TYPE_GOOD, 20);
                Pipe pipe;

                pipe_open(&pipe);
                assert_int_equal(write(pipe.theirs, data, 10), 10);
                assert_int_equal(pipe_receive(&pipe), INBOX_E_MORE);
                assert_int_equal(write(pipe.theirs, data + 10, n - 10), n - 10);
                assert_int_equal(pipe_receive(&pipe), 0);
                if (is_taken)
                        inbox_take(&pipe.inbox, pipe.ours, NULL);
                inbox_take(&pipe.inbox, is_taken ? pipe.ours : -1, NULL);
                pipe.ours = fd_close(pipe.ours);
                errno = 0;
                assert_int_equal(read(pipe.theirs, data, 1), is_taken ? 0 : -1);
                assert_int_equal(errno, is_taken ? 0 : ECONNRESET);
                pipe_close(&pipe);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_split), cmocka_unit_test(test_byte_by_byte), cmocka_unit_test(test_refused),
                cmocka_unit_test(test_eof),         cmocka_unit_test(test_taken_or_not),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
