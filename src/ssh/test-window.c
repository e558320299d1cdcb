/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define BOOT  "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER "11234567-89ab-cdef-0123-456789abcdef"
#define NOW   (1000 * USEC_PER_SEC)

static SshWindow window;

static void test_count(void **state) {
        static const SshRate rate = { 2, 60 }, off = {};

        window = (SshWindow){};
        assert_true(ssh_window_count(&window, rate, NOW));
        assert_true(ssh_window_count(&window, rate, NOW + 30 * USEC_PER_SEC));
        assert_false(ssh_window_count(&window, rate, NOW + 60 * USEC_PER_SEC - 1));
        assert_true(ssh_window_count(&window, rate, NOW + 60 * USEC_PER_SEC));
        assert_false(ssh_window_count(&window, rate, NOW + 60 * USEC_PER_SEC));
        assert_true(ssh_window_count(&window, off, NOW + 60 * USEC_PER_SEC));

        assert_true(ssh_window_tell(&window, rate, NOW));
        assert_false(ssh_window_tell(&window, rate, NOW + 60 * USEC_PER_SEC - 1));
        assert_true(ssh_window_tell(&window, rate, NOW + 60 * USEC_PER_SEC));

        ssh_window_fill(&window, rate, NOW);
        assert_false(ssh_window_count(&window, rate, NOW + 60 * USEC_PER_SEC - 1));
        assert_true(ssh_window_is_recent(&window, 60, NOW + 60 * USEC_PER_SEC - 1));
        assert_false(ssh_window_is_recent(&window, 60, NOW + 60 * USEC_PER_SEC));
        assert_false(ssh_window_is_recent(&(SshWindow){}, 60, NOW));
}

static void test_largest(void **state) {
        static const SshRate rate = { SSH_RATE_MAX, SSH_DAY_SEC };
        static char text[SSH_WINDOW_TEXT_MAX];
        static SshWindow again;
        size_t n;

        ssh_window_fill(&window, rate, UINT64_MAX / 2);
        n = ssh_window_format(&window, BOOT, text);
        assert_true(n < sizeof(text));
        assert_int_equal(ssh_window_parse(text, n, BOOT, UINT64_MAX / 2, &again), 0);
        assert_int_equal(again.n, SSH_RATE_MAX);
        assert_memory_equal(&again, &window, sizeof(again));
}

static void test_parse(void **state) {
        static const struct {
                const char *name, *text;
                int expect;
                size_t n;
        } cases[] = {
                { "nothing yet", "", 0, 0 },
                { "none", "1 " BOOT " 0\n", 0, 0 },
                { "two", "1 " BOOT " 0\n5\n5\n", 0, 2 },
                { "until now", "1 " BOOT " 0\n1000000000\n", 0, 1 },
                { "of another boot", "1 " OTHER " 0\n5\n", 0, 0 },
                { "of another boot, whatever follows", "1 " OTHER " 0\nnonsense", 0, 0 },
                { "another version", "2 " BOOT " 0\n", SSH_WINDOW_E_MALFORMED, 0 },
                { "no end", "1 " BOOT " 0", SSH_WINDOW_E_MALFORMED, 0 },
                { "cut in the boot id", "1 0123\n", SSH_WINDOW_E_MALFORMED, 0 },
                { "no number", "1 " BOOT " \n", SSH_WINDOW_E_MALFORMED, 0 },
                { "a time that is none", "1 " BOOT " 0\nx\n", SSH_WINDOW_E_MALFORMED, 0 },
                { "a time without its end", "1 " BOOT " 0\n5", SSH_WINDOW_E_MALFORMED, 0 },
                { "an empty line", "1 " BOOT " 0\n\n", SSH_WINDOW_E_MALFORMED, 0 },
                { "in the future", "1 " BOOT " 0\n1000000001\n", SSH_WINDOW_E_MALFORMED, 0 },
                { "backwards", "1 " BOOT " 0\n5\n4\n", SSH_WINDOW_E_MALFORMED, 0 },
                { "told in the future", "1 " BOOT " 1000000001\n", SSH_WINDOW_E_MALFORMED, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int r = ssh_window_parse(cases[i].text, strlen(cases[i].text), BOOT, NOW, &window);

                if (r != cases[i].expect || (r == 0 && window.n != cases[i].n))
                        fail_msg("%s: got %d, %zu times", cases[i].name, r, window.n);
        }
}

static void test_too_many(void **state) {
        static char text[SSH_WINDOW_TEXT_MAX + 100];
        size_t n = (size_t)sprintf(text, "1 " BOOT " 0\n");

        for (size_t i = 0; i < SSH_RATE_MAX; ++i)
                n += (size_t)sprintf(text + n, "5\n");
        assert_int_equal(ssh_window_parse(text, n, BOOT, NOW, &window), 0);
        n += (size_t)sprintf(text + n, "5\n");
        assert_int_equal(ssh_window_parse(text, n, BOOT, NOW, &window), SSH_WINDOW_E_MALFORMED);
}

static void test_grant(void **state) {
        static const struct {
                const char *name, *text;
                bool expect;
        } cases[] = {
                { "a second more", "1 " BOOT " 1001000000000\n", true },
                { "a nanosecond more", "1 " BOOT " 1000000000001\n", true },
                { "over", "1 " BOOT " 1000000000000\n", false },
                { "a day", "1 " BOOT " 87400000000000\n", true },
                { "more than a day", "1 " BOOT " 87400000000001\n", false },
                { "of another boot", "1 " OTHER " 1001000000000\n", false },
                { "nothing", "", false },
                { "more behind it", "1 " BOOT " 1001000000000\nx", false },
                { "without its end", "1 " BOOT " 1001000000000", false },
                { "another version", "2 " BOOT " 1001000000000\n", false },
                { "no number", "1 " BOOT " x\n", false },
                { "a sign", "1 " BOOT " +1001000000000\n", false },
                { "more than fits", "1 " BOOT " 99999999999999999999\n", false },
        };
        static char text[SSH_WINDOW_TEXT_MAX];
        size_t n;

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (ssh_grant_is_valid(cases[i].text, strlen(cases[i].text), BOOT, NOW) != cases[i].expect)
                        fail_msg("%s", cases[i].name);

        n = ssh_grant_format(BOOT, NOW, 30, text);
        assert_true(ssh_grant_is_valid(text, n, BOOT, NOW + 30 * USEC_PER_SEC - 1));
        assert_false(ssh_grant_is_valid(text, n, BOOT, NOW + 30 * USEC_PER_SEC));
        assert_false(ssh_grant_is_valid(text, n, OTHER, NOW));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_count),    cmocka_unit_test(test_largest), cmocka_unit_test(test_parse),
                cmocka_unit_test(test_too_many), cmocka_unit_test(test_grant),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
