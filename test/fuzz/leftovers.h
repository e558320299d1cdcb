/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program that runs in a fuzz target may leave behind: descriptors, children, a signal that came too late.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "fuzz.h"

/** leftovers_count_fds() - open descriptors of this process */
static inline unsigned leftovers_count_fds(void) {
        DIR *directory = opendir("/proc/self/fd");
        unsigned n = 0;

        fuzz_check(directory);
        while (readdir(directory))
                ++n;
        closedir(directory);
        return n;
}

/** leftovers_reap() - wait for all children */
static inline void leftovers_reap(void) {
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                ;
}

/** leftovers_forget_signal() - take away a SIGTERM that is blocked, and waits */
static inline void leftovers_forget_signal(void) {
        const struct timespec at_once = {};
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        while (sigtimedwait(&set, NULL, &at_once) > 0)
                ;
}
