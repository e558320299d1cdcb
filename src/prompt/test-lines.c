/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/lines.h"

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

typedef struct Pair {
        Lines lines;
        int peer_fd;
} Pair;

static Pair pair_new(void) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        return (Pair){ LINES_INIT(fds[0]), fds[1] };
}

static void pair_free(Pair *pair) {
        lines_deinit(&pair->lines);
        lines_deinit(&pair->lines);
        close(pair->peer_fd);
}

static void say(Pair *pair, const char *text) {
        assert_int_equal(write(pair->peer_fd, text, strlen(text)), strlen(text));
}

static void test_pieces(void **state) {
        Pair pair = pair_new();
        char *line;

        assert_int_equal(lines_next(&pair.lines, &line), LINES_E_AGAIN);
        say(&pair, "on");
        assert_int_equal(lines_next(&pair.lines, &line), LINES_E_AGAIN);
        say(&pair, "e\n\ntwo\nthr");
        assert_int_equal(lines_next(&pair.lines, &line), 0);
        assert_string_equal(line, "one");
        assert_int_equal(lines_next(&pair.lines, &line), 0);
        assert_string_equal(line, "");
        assert_int_equal(lines_next(&pair.lines, &line), 0);
        assert_string_equal(line, "two");
        assert_int_equal(lines_next(&pair.lines, &line), LINES_E_AGAIN);
        shutdown(pair.peer_fd, SHUT_WR);
        assert_int_equal(lines_next(&pair.lines, &line), LINES_E_EOF);
        pair_free(&pair);
}

/* The longest line is taken; a longer one ends it. */
static void test_longest(void **state) {
        for (size_t extra = 0; extra < 2; ++extra) {
                size_t n = LINES_MAX + (extra), n_sent = 0;
                _cleanup_free_ char *text = malloc(n);
                Pair pair = pair_new();
                char *line;
                int r;

                memset(text, 'x', n);
                text[n - 1] = '\n';
                do {
                        ssize_t l = write(pair.peer_fd, text + n_sent, n - n_sent);

                        n_sent += l > 0 ? (size_t)l : 0;
                        r = lines_next(&pair.lines, &line);
                } while (r == LINES_E_AGAIN);
                assert_int_equal(r, extra ? LINES_E_EOF : 0);
                if (!extra)
                        assert_int_equal(strlen(line), LINES_MAX - 1);
                pair_free(&pair);
        }
}

/* A peer that reads nothing: what it is told waits, up to a limit. */
static void test_put(void **state) {
        static char text[LINES_MAX];
        char buffer[65536];
        Pair pair = pair_new();
        size_t n = 0, n_read = 0;
        ssize_t l;

        memset(text, 'x', sizeof(text) - 1);
        assert_int_equal(lines_put(&pair.lines, "one"), 0);
        assert_int_equal(read(pair.peer_fd, buffer, sizeof(buffer)), 4);
        assert_memory_equal(buffer, "one\n", 4);
        assert_false(lines_wants_room(&pair.lines));
        while (lines_put(&pair.lines, text) == 0)
                ++n;
        assert_true(n >= 15 && n <= 18);
        assert_true(lines_wants_room(&pair.lines));
        while (n_read < n * sizeof(text)) {
                l = read(pair.peer_fd, buffer, sizeof(buffer));
                if (l > 0)
                        n_read += (size_t)l;
                assert_int_equal(lines_flush(&pair.lines), 0);
        }
        assert_false(lines_wants_room(&pair.lines));
        shutdown(pair.peer_fd, SHUT_RD);
        assert_int_equal(lines_put(&pair.lines, "one"), LINES_E_EOF);
        pair_free(&pair);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_longest),
                cmocka_unit_test(test_put),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
