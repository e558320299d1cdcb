/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

static int n_events(WatchSet *set) {
        struct epoll_event event;
        int n;

        assert_int_equal(watch_set_wait(set, 0, &event, 1, &n), 0);
        return n;
}

static void test_events(void **state) {
        Watch watch = { WATCH_KIND_LINK };
        struct epoll_event event;
        WatchSet set;
        int fds[2], n;

        assert_int_equal(watch_set_init(&set), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(watch_set_add(&set, fds[1], EPOLLOUT, &watch), 0);
        assert_int_equal(watch_set_add(&set, fds[1], EPOLLOUT, &watch), -EEXIST);
        assert_int_equal(watch_set_wait(&set, UINT64_MAX, &event, 1, &n), 0);
        assert_int_equal(n, 1);
        assert_ptr_equal(event.data.ptr, &watch);
        assert_int_equal(watch_set_change(&set, fds[1], 0, &watch), 0);
        assert_int_equal(n_events(&set), 0);
        watch_set_remove(&set, fds[1]);
        assert_int_equal(watch_set_change(&set, fds[1], EPOLLOUT, &watch), -ENOENT);
        assert_int_equal(watch_set_close(&set, -1), -1);
        fd_close(fds[0]);
        fd_close(fds[1]);
        watch_set_deinit(&set);
        watch_set_deinit(&set);
        assert_int_equal(watch_set_add(&set, 0, EPOLLIN, &watch), -EBADF);
}

/* Never too early. */
static void test_deadline(void **state) {
        uint64_t deadline_usec = clock_now() + 1500;
        struct epoll_event event;
        WatchSet set;
        int n;

        assert_int_equal(watch_set_init(&set), 0);
        assert_int_equal(watch_set_wait(&set, deadline_usec, &event, 1, &n), 0);
        assert_int_equal(n, 0);
        assert_true(clock_now() >= deadline_usec);
        watch_set_deinit(&set);
}

/* What was closed is not heard of again, although a process that was just forked still holds a copy of it. */
static void test_copies(void **state) {
        for (int forked = 0; forked <= 1; ++forked) {
                Watch watch = { WATCH_KIND_LINK };
                int fds[2], copy_fd;
                WatchSet set;

                assert_int_equal(watch_set_init(&set), 0);
                assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
                copy_fd = forked ? fcntl(fds[0], F_DUPFD_CLOEXEC, 3) : -1;
                set.n_forked = (size_t)forked;
                assert_int_equal(watch_set_add(&set, fds[0], EPOLLIN, &watch), 0);
                assert_int_equal(write(fds[1], "x", 1), 1);
                assert_int_equal(n_events(&set), 1);
                assert_int_equal(watch_set_close(&set, fds[0]), -1);
                assert_int_equal(n_events(&set), 0);
                fd_close(copy_fd);
                fd_close(fds[1]);
                watch_set_deinit(&set);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_copies),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
