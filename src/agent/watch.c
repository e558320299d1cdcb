/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"

#include <errno.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"

int watch_set_init(WatchSet *set) {
        *set = WATCH_SET_INIT;
        set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        return set->epoll_fd < 0 ? error_origin(-errno) : 0;
}

void watch_set_deinit(WatchSet *set) {
        set->epoll_fd = fd_close(set->epoll_fd);
}

static int watch_set_control(WatchSet *set, int operation, int fd, uint32_t events, Watch *watch) {
        struct epoll_event event = { .events = events, .data.ptr = watch };

        return epoll_ctl(set->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int watch_set_add(WatchSet *set, int fd, uint32_t events, Watch *watch) {
        return watch_set_control(set, EPOLL_CTL_ADD, fd, events, watch);
}

int watch_set_change(WatchSet *set, int fd, uint32_t events, Watch *watch) {
        return watch_set_control(set, EPOLL_CTL_MOD, fd, events, watch);
}

void watch_set_remove(WatchSet *set, int fd) {
        (void)watch_set_control(set, EPOLL_CTL_DEL, fd, 0, NULL);
}

int watch_set_close(WatchSet *set, int fd) {
        if (fd >= 0 && set->n_forked > 0)
                watch_set_remove(set, fd);
        return fd_close(fd);
}

int watch_set_wait(WatchSet *set, uint64_t deadline_usec, struct epoll_event *events, int n_max, int *ret_n) {
        int n;

        n = epoll_wait(set->epoll_fd, events, n_max, clock_timeout(deadline_usec, clock_now()));
        if (n < 0 && errno != EINTR)
                return error_origin(-errno);
        *ret_n = n < 0 ? 0 : n;
        return 0;
}
