/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t clock_now(void) {
        struct timespec now;

        /* CLOCK_MONOTONIC always exists on Linux and the pointer is valid: no error is possible. */
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_boottime(void) {
        struct timespec now;

        (void)clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_realtime(void) {
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

int clock_timeout(uint64_t deadline_usec, uint64_t now_usec) {
        uint64_t left_usec, msec;

        if (deadline_usec == UINT64_MAX)
                return -1;
        left_usec = deadline_usec > now_usec ? deadline_usec - now_usec : 0;
        msec = left_usec / USEC_PER_MSEC + (left_usec % USEC_PER_MSEC > 0);
        return msec < INT_MAX ? (int)msec : INT_MAX;
}

/* The year 9999, so that the text never grows. */
#define CLOCK_REALTIME_MAX (UINT64_C(253402300799) * USEC_PER_SEC + USEC_PER_SEC - 1)

const char *clock_format(uint64_t realtime_usec, char buffer[static CLOCK_TEXT_MAX]) {
        uint64_t usec = realtime_usec < CLOCK_REALTIME_MAX ? realtime_usec : CLOCK_REALTIME_MAX;
        time_t sec = (time_t)(usec / USEC_PER_SEC);
        char date[sizeof("2026-11-22T00:34:10")];
        struct tm tm;

        /* Neither can fail between 1970 and 9999. */
        if (!gmtime_r(&sec, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
                date[0] = '\0';
        snprintf(buffer, CLOCK_TEXT_MAX, "%s.%06uZ", date, (unsigned)(usec % USEC_PER_SEC));
        return buffer;
}
