/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/callids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/test-capture.h"
#include "wire/supervise.h"

static char folder[] = "/tmp/qair-callids-XXXXXX";

static void write_file(const char *text, mode_t mode) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "%s/call-ids", folder);
        (void)unlink(path);
        if (!text)
                return;
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
        assert_true(fd >= 0 && fchmod(fd, mode) == 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

/* Nothing but its first sight is news to who watches the folder as the broker does. */
static void test_quiet(void **state) {
        _cleanup_(call_ids_deinit) CallIds ids = CALL_IDS_INIT;
        _cleanup_fd_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        _Alignas(struct inotify_event) char events[1024];
        uint32_t first;

        write_file(NULL, 0);
        assert_int_equal(call_ids_init(&ids, folder), 0);
        assert_true(inotify_add_watch(watch, folder, IN_ALL_EVENTS & ~(uint32_t)IN_MODIFY) >= 0);
        for (unsigned i = 0; i < 3; ++i)
                assert_int_equal(call_ids_take(&ids, &first), 0);
        assert_int_equal(read(watch, events, sizeof(events)), -1);
        assert_int_equal(errno, EAGAIN);
}

/* A supervisor that comes after another goes on where that one was, even if it died without a word. */
static void test_successor(void **state) {
        uint32_t expect = 1;

        write_file(NULL, 0);
        for (unsigned life = 0; life < 3; ++life) {
                _cleanup_(call_ids_deinit) CallIds ids = CALL_IDS_INIT;
                uint32_t first;

                assert_int_equal(call_ids_init(&ids, folder), 0);
                for (unsigned i = 0; i < 2; ++i, expect += SUPERVISE_IDS_BLOCK) {
                        assert_int_equal(call_ids_take(&ids, &first), 0);
                        assert_int_equal(first, expect);
                }
        }
}

static void test_around(void **state) {
        _cleanup_(call_ids_deinit) CallIds ids = CALL_IDS_INIT;
        uint32_t first;

        write_file("999990000", 0600); /* the last block that fits */
        assert_int_equal(call_ids_init(&ids, folder), 0);
        assert_int_equal(call_ids_take(&ids, &first), 0);
        assert_int_equal(first, SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK + 1);
        assert_int_equal(call_ids_take(&ids, &first), 0);
        assert_int_equal(first, 1);
        call_ids_deinit(&ids);
        assert_int_equal(call_ids_init(&ids, folder), 0);
        assert_int_equal(ids.next, SUPERVISE_IDS_BLOCK + 1);
}

static void test_file(void **state) {
        static const struct {
                const char *name, *text;
                mode_t mode;
                bool is_good;
        } cases[] = {
                { "a number", "20001", 0600, true },
                { "with a newline", "20001\n", 0600, true },
                { "as it is written", "20001    \n", 0600, true },
                { "blanks before it", "    20001\n", 0600, false },
                { "blanks alone", "         \n", 0600, false },
                { "the first", "1\n", 0600, true },
                { "zero", "0\n", 0600, false },
                { "nothing", "", 0600, true },
                { "a newline alone", "\n", 0600, false },
                { "a word", "one\n", 0600, false },
                { "two lines", "1\n2\n", 0600, false },
                { "too large", "1000000000\n", 0600, false },
                { "too long", "00000000000000001\n", 0600, false },
                { "anybody's", "20001\n", 0666, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                CallIds ids = CALL_IDS_INIT;
                Capture capture;
                int r;

                write_file(cases[i].text, cases[i].mode);
                capture_begin(&capture);
                r = call_ids_init(&ids, folder);
                capture_end(&capture);
                call_ids_deinit(&ids);
                if ((r == 0) != cases[i].is_good)
                        fail_msg("%s: got %d", cases[i].name, r);
        }
}

static int setup(void **state) {
        return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
        write_file(NULL, 0);
        return rmdir(folder);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quiet),
                cmocka_unit_test(test_successor),
                cmocka_unit_test(test_around),
                cmocka_unit_test(test_file),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
