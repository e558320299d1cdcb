/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define PAYLOAD_MAX                       100
#define MESSAGE(_type, _length, _payload) _type "\0\0\0" _length "\0\0\0" _payload

typedef struct World {
        Messages messages;
        int peer_fd;
} World;

static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));
        int fds[2];

        if (!world || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
                return -1;
        world->messages = MESSAGES_INIT;
        world->peer_fd = fds[1];
        *state = world;
        return messages_open(&world->messages, fds[0], PAYLOAD_MAX);
}

static int teardown(void **state) {
        World *world = *state;

        messages_close(&world->messages);
        messages_close(&world->messages);
        fd_close(world->peer_fd);
        free(world);
        return 0;
}

/* Type 9 is not let through; of the others, all lengths. */
static bool check(const void *userdata, WireHeader header) {
        return header.type != 9;
}

static void expect(World *world, uint32_t type, const char *payload) {
        WireHeader header;
        uint8_t *data;

        assert_int_equal(messages_receive(&world->messages, check, NULL, &header, &data), 0);
        assert_int_equal(header.type, type);
        assert_int_equal(header.length, strlen(payload));
        assert_memory_equal(data, payload, header.length);
}

static void expect_error(World *world, int error) {
        WireHeader header;
        uint8_t *data;

        assert_int_equal(messages_receive(&world->messages, check, NULL, &header, &data), error);
}

static void say(World *world, const void *data, size_t n) {
        assert_int_equal(write(world->peer_fd, data, n), n);
}

static void test_pieces(void **state) {
        static const char data[] =
                MESSAGE("\x01", "\x03", "abc") MESSAGE("\x02", "\x00", "") MESSAGE("\x03", "\x01", "x");
        World *world = *state;

        for (size_t i = 0; i < sizeof(data) - 1; ++i) {
                expect_error(world, MESSAGES_E_AGAIN);
                say(world, data + i, 1);
                if (i == 10)
                        expect(world, 1, "abc");
                if (i == 18)
                        expect(world, 2, "");
        }
        expect(world, 3, "x");
        expect_error(world, MESSAGES_E_AGAIN);
        say(world, data, sizeof(data) - 1);
        expect(world, 1, "abc");
        assert_true(messages_is_pending(&world->messages));
        expect(world, 2, "");
        assert_true(messages_is_pending(&world->messages));
        expect(world, 3, "x");
        assert_false(messages_is_pending(&world->messages));
        world->peer_fd = fd_close(world->peer_fd);
        expect_error(world, MESSAGES_E_END);
        expect_error(world, MESSAGES_E_END);
}

static void test_ends(void **state) {
        World *world = *state;

        say(world, MESSAGE("\x01", "\x03", "ab"), 10);
        world->peer_fd = fd_close(world->peer_fd);
        expect_error(world, MESSAGES_E_BROKEN);
}

static void test_limits(void **state) {
        static const char zeros[PAYLOAD_MAX];
        World *world = *state;
        WireHeader header;
        uint8_t *data;

        say(world, MESSAGE("\x01", "\x64", ""), 8); /* 100 bytes */
        say(world, zeros, sizeof(zeros));
        assert_false(messages_is_pending(&world->messages));
        assert_int_equal(messages_receive(&world->messages, check, NULL, &header, &data), 0);
        assert_int_equal(header.length, 100);
        assert_false(messages_is_pending(&world->messages));
        /* Judged by its header alone. */
        say(world, MESSAGE("\x01", "\x65", ""), 8);
        expect_error(world, MESSAGES_E_REFUSED);
}

static void test_check(void **state) {
        World *world = *state;

        say(world, MESSAGE("\x09", "\x01", ""), 8);
        expect_error(world, MESSAGES_E_REFUSED);
}

/* What finds no room waits, and arrives in its order. */
static void test_send(void **state) {
        static const uint8_t hello[] = { 0, 3, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0 };
        static uint8_t block[65536];
        uint8_t *received;
        World *world = *state;
        size_t n_blocks = 0, n = 0, n_all;

        for (; messages_is_flushed(&world->messages); ++n_blocks) {
                memset(block, (int)n_blocks, sizeof(block));
                assert_int_equal(messages_send(&world->messages, block, sizeof(block)), 0);
        }
        assert_int_equal(messages_send_hello(&world->messages, 4), 0);

        n_all = n_blocks * sizeof(block) + sizeof(hello);
        received = calloc(1, n_all);
        assert_non_null(received);
        while (n < n_all) {
                ssize_t n_read = read(world->peer_fd, received + n, n_all - n);

                assert_int_equal(messages_flush(&world->messages), 0);
                n += n_read > 0 ? (size_t)n_read : 0;
        }
        assert_true(messages_is_flushed(&world->messages));
        for (size_t i = 0; i < n_blocks * sizeof(block); ++i)
                assert_int_equal(received[i], (uint8_t)(i / sizeof(block)));
        assert_memory_equal(received + n_blocks * sizeof(block), hello, sizeof(hello));
        free(received);
}

/* One who always leaves something unread makes nobody hold more than that. */
static void test_send_to_a_slow_reader(void **state) {
        static uint8_t block[4096], received[sizeof(block)];
        World *world = *state;
        size_t n_out_max;

        while (messages_is_flushed(&world->messages))
                assert_int_equal(messages_send(&world->messages, block, sizeof(block)), 0);
        for (int i = 0; i < 16; ++i)
                assert_int_equal(messages_send(&world->messages, block, sizeof(block)), 0);
        n_out_max = world->messages.n_out_max;
        for (int i = 0; i < 1000; ++i) {
                assert_int_equal(fd_read_full(world->peer_fd, received, sizeof(received)), 0);
                assert_int_equal(messages_send(&world->messages, block, sizeof(block)), 0);
                assert_true(messages_waiting(&world->messages) > 0);
                assert_true(messages_waiting(&world->messages) <= 32 * sizeof(block));
        }
        assert_true(world->messages.n_out_max <= 2 * n_out_max);
}

static void test_send_to_nobody(void **state) {
        World *world = *state;

        say(world, MESSAGE("\x01", "\x01", "x"), 9);
        world->peer_fd = fd_close(world->peer_fd);
        assert_int_equal(messages_send(&world->messages, "lost", 4), 0);
        assert_true(messages_is_flushed(&world->messages));
        expect(world, 1, "x");
        expect_error(world, MESSAGES_E_END);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
                cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_check, setup, teardown),
                cmocka_unit_test_setup_teardown(test_send, setup, teardown),
                cmocka_unit_test_setup_teardown(test_send_to_a_slow_reader, setup, teardown),
                cmocka_unit_test_setup_teardown(test_send_to_nobody, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
