/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/test-capture.h"

static int setup(void **state) {
        log_set_batched(false);
        unsetenv("JOURNAL_STREAM");
        log_open("tester", false);
        log_set_max_level(LOG_LEVEL_INFO);
        return 0;
}

static void test_levels(void **state) {
        Capture capture;
        const char *text;
        int kept;

        capture_begin(&capture);
        errno = EXDEV;
        log_error("e %d", 1);
        log_warning("w");
        log_notice("n");
        log_info("i");
        log_debug("never seen");
        log_set_max_level(LOG_LEVEL_DEBUG);
        log_debug("d");
        log_set_max_level(LOG_LEVEL_ERROR);
        log_warning("never seen");
        kept = errno;
        text = capture_end(&capture);

        assert_string_equal(text, "tester: e 1\ntester: w\ntester: n\ntester: i\ntester: d\n");
        assert_int_equal(kept, EXDEV);
}

static void test_journal_prefix(void **state) {
        Capture capture;
        const char *text;

        setenv("JOURNAL_STREAM", "8:1234", 1);
        log_open("tester", false);
        capture_begin(&capture);
        log_error("e");
        log_info("i");
        text = capture_end(&capture);

        assert_string_equal(text, "<3>e\n<6>i\n");
}

/* A record that is too long is cut, is still one line, and is written in one piece. */
static void test_long_record(void **state) {
        static char longest[2 * LOG_RECORD_MAX];
        Capture capture;
        const char *text;
        size_t n;

        memset(longest, 'x', sizeof(longest) - 1);
        capture_begin(&capture);
        log_info("%s", longest);
        log_info("next");
        text = capture_end(&capture);

        n = strcspn(text, "\n") + 1;
        assert_in_range(n, LOG_RECORD_MAX - 16, LOG_RECORD_MAX);
        assert_string_equal(text + n, "tester: next\n");
}

/* A full standard error nobody reads: a lossy log drops and counts, and says so once there is room. */
static void test_lossy(void **state) {
        char drained[128 * 1024];
        int fds[2], stderr_fd = dup(STDERR_FILENO);
        ssize_t n;
        char *report;

        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        memset(drained, '.', sizeof(drained));
        while (write(fds[1], drained, 4096) > 0)
                ;

        dup2(fds[1], STDERR_FILENO);
        log_open("tester", true);
        errno = EXDEV;
        log_error("lost 1");
        log_error("lost 2");
        n = read(fds[0], drained, sizeof(drained) - 1);
        log_error("kept");
        dup2(stderr_fd, STDERR_FILENO);
        close(stderr_fd);

        assert_true(n > 0);
        n = read(fds[0], drained, sizeof(drained) - 1);
        assert_true(n > 0);
        drained[n] = '\0';
        report = strchr(drained, 't');
        assert_non_null(report);
        assert_string_equal(report, "tester: 2 log records were lost: nobody read standard error\ntester: kept\n");
        close(fds[0]);
        close(fds[1]);
}

/* A journal that does not read takes no record and makes nobody wait. */
static void test_lossy_socket(void **state) {
        char data[LOG_RECORD_MAX + 1];
        int fds[2], stderr_fd = dup(STDERR_FILENO);
        ssize_t n;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        memset(data, '.', sizeof(data));
        while (send(fds[1], data, sizeof(data), MSG_DONTWAIT) > 0)
                ;

        dup2(fds[1], STDERR_FILENO);
        log_open("tester", true);
        log_error("lost");
        while (recv(fds[0], data, sizeof(data), MSG_DONTWAIT) > 0)
                ;
        log_error("kept");
        dup2(stderr_fd, STDERR_FILENO);
        close(stderr_fd);

        n = recv(fds[0], data, sizeof(data) - 1, MSG_DONTWAIT);
        assert_true(n > 0);
        data[n] = '\0';
        assert_string_equal(data, "tester: 1 log records were lost: nobody read standard error\ntester: kept\n");
        close(fds[0]);
        close(fds[1]);
}

/* What is not urgent waits for a flush, for something urgent, for a full batch, or for the end of batches. */
static void test_batched(void **state) {
        static const char expect[] = "-tester: one\ntester: two\n-tester: three\ntester: urgent\n-";
        static char half[LOG_RECORD_MAX / 2];
        Capture capture;
        const char *text;

        memset(half, 'x', sizeof(half) - 1);
        capture_begin(&capture);
        log_set_batched(true);
        log_info("one");
        log_info("two");
        assert_int_equal(write(STDERR_FILENO, "-", 1), 1);
        log_flush();
        log_flush();
        log_info("three");
        assert_int_equal(write(STDERR_FILENO, "-", 1), 1);
        log_warning("urgent");
        log_info("%s", half);
        assert_int_equal(write(STDERR_FILENO, "-", 1), 1);
        log_info("%s", half);
        assert_int_equal(write(STDERR_FILENO, "-", 1), 1);
        log_set_batched(false);
        log_info("four");
        text = capture_end(&capture);

        assert_memory_equal(text, expect, sizeof(expect) - 1);
        text = strstr(text, "x\n");
        assert_int_equal(strncmp(text, "x\n-tester: x", 12), 0);
        text = strstr(text + 2, "x\n");
        assert_string_equal(text, "x\ntester: four\n");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_levels, setup),       cmocka_unit_test_setup(test_journal_prefix, setup),
                cmocka_unit_test_setup(test_long_record, setup),  cmocka_unit_test_setup(test_lossy, setup),
                cmocka_unit_test_setup(test_lossy_socket, setup), cmocka_unit_test_setup(test_batched, setup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
