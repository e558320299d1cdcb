/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/error.h"

struct Watchdog {
        timer_t timer;
        long n_waits; /* when it was armed */
};

static volatile sig_atomic_t watchdog_barked;

/* That the signal is delivered is what interrupts the wait; the flag tells who was to blame. */
static void watchdog_on_signal(int number) {
        watchdog_barked = 1;
}

/* How often this thread has given up the processor to wait for something. */
static long watchdog_count_waits(void) {
        struct rusage usage = {};

        (void)getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nvcsw;
}

int watchdog_new(Watchdog **ret_watchdog) {
        struct sigaction action = { .sa_handler = watchdog_on_signal };
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
        _cleanup_free_ Watchdog *watchdog = NULL;

        watchdog = malloc(sizeof(*watchdog));
        if (!watchdog)
                return error_origin(-ENOMEM);
        if (sigaction(SIGALRM, &action, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &event, &watchdog->timer) < 0)
                return error_origin(-errno);
        *ret_watchdog = steal_ptr(&watchdog);
        return 0;
}

Watchdog *watchdog_free(Watchdog *watchdog) {
        if (!watchdog)
                return NULL;
        (void)timer_delete(watchdog->timer);
        free(watchdog);
        return NULL;
}

static void watchdog_set(Watchdog *watchdog, long nsec) {
        struct itimerspec when = { .it_interval.tv_nsec = nsec, .it_value.tv_nsec = nsec };

        /* Cannot fail: the timer exists and the time is a valid one. */
        (void)timer_settime(watchdog->timer, 0, &when, NULL);
}

void watchdog_arm(Watchdog *watchdog) {
        if (!watchdog)
                return;
        watchdog_barked = 0;
        watchdog->n_waits = watchdog_count_waits();
        watchdog_set(watchdog, WATCHDOG_USEC * 1000L);
}

bool watchdog_disarm(Watchdog *watchdog) {
        if (!watchdog)
                return false;
        watchdog_set(watchdog, 0);
        return watchdog_barked && watchdog_count_waits() != watchdog->n_waits;
}
