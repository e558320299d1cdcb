/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/test-capture.h"

static int setup(void **state) {
        unsetenv("JOURNAL_STREAM");
        log_open("m", false);
        return 0;
}

/* What is logged of @text, written in one piece by a program that then closes its end. */
static const char *relayed(Capture *capture, const char *text, size_t n) {
        Relay relay = RELAY_INIT;
        int fd;

        if (relay_open(&relay, "work", &fd) || write(fd, text, n) != (ssize_t)n)
                abort();
        close(fd);
        capture_begin(capture);
        while (relay_read(&relay))
                ;
        relay_close(&relay);
        return capture_end(capture);
}

static void test_lines(void **state) {
        static const struct {
                const char *name, *input, *expect;
        } cases[] = {
                { "nothing", "", "" },
                { "one line", "hello\n", "m: work: hello\n" },
                { "two lines", "a\nb\n", "m: work: a\nm: work: b\n" },
                { "an empty line", "\n", "m: work: \n" },
                { "a last line without its end", "a\nlast", "m: work: a\nm: work: last\n" },
                { "what could forge a line or move the cursor", "a\rqrexecd: b\x1b[2J\n",
                  "m: work: a\\rqrexecd: b\\x1b[2J\n" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
                Capture capture;
                const char *text = relayed(&capture, cases[i].input, strlen(cases[i].input));

                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: \"%s\"", cases[i].name, text);
        }
}

static void test_long_line(void **state) {
        char input[RELAY_LINE_MAX + 8], expect[RELAY_LINE_MAX + 64];
        Capture capture;

        for (size_t n = RELAY_LINE_MAX - 1; n <= RELAY_LINE_MAX + 1; ++n) {
                size_t n_kept = n < RELAY_LINE_MAX ? n : RELAY_LINE_MAX;

                memset(input, 'x', n);
                memcpy(input + n, "\nnext\n", 6);
                snprintf(expect, sizeof(expect), "m: work: %.*s\nm: work: next\n", (int)n_kept, input);
                assert_string_equal(relayed(&capture, input, n + 6), expect);
        }
}

/* A flood is a number: at most so many lines in each second, and the rest counted. */
static void test_flood(void **state) {
        static char input[4000];
        uint64_t began, seconds;
        unsigned n_passed = 0, n_lost = 0;
        Capture capture;
        const char *text;

        memset(input, '\n', sizeof(input));
        began = clock_now();
        text = relayed(&capture, input, sizeof(input));
        seconds = clock_now() / USEC_PER_SEC - began / USEC_PER_SEC + 1;
        for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
                const char *left_out = strstr(line, " more lines were left out");

                if (left_out && left_out < strchr(line, '\n'))
                        n_lost += (unsigned)strtoul(line + strlen("m: work: "), NULL, 10);
                else
                        ++n_passed;
        }
        assert_int_equal(n_passed + n_lost, sizeof(input));
        assert_in_range(n_passed, RELAY_LINES_PER_SEC, RELAY_LINES_PER_SEC * seconds);
}

/* What the program left running holds the pipe: what it wrote before is there, and nobody waits for more. */
static void test_held_open(void **state) {
        Relay relay = RELAY_INIT;
        Capture capture;
        int fd;

        assert_int_equal(relay_open(&relay, "work", &fd), 0);
        assert_int_equal(write(fd, "last words\n", 11), 11);
        capture_begin(&capture);
        relay_close(&relay);
        assert_string_equal(capture_end(&capture), "m: work: last words\n");
        close(fd);
        relay_close(&relay);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_long_line),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_held_open),
        };

        return cmocka_run_group_tests(tests, setup, NULL);
}
