/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

/** clock_now() - microseconds of CLOCK_MONOTONIC; cannot fail */
uint64_t clock_now(void);

/** clock_boottime() - microseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps; cannot fail */
uint64_t clock_boottime(void);

/** clock_realtime() - microseconds of CLOCK_REALTIME since 1970, for people; may jump; cannot fail */
uint64_t clock_realtime(void);

/**
 * clock_timeout() - how long to wait, for poll(2) and epoll_wait(2): never too short
 * @deadline_usec: UINT64_MAX: without limit
 * @now_usec:      by the same clock
 *
 * Return: milliseconds, or -1 without limit.
 */
int clock_timeout(uint64_t deadline_usec, uint64_t now_usec);

/** CLOCK_TEXT_MAX - "2026-11-22T00:34:10.123456Z" and a NUL */
#define CLOCK_TEXT_MAX 28

/** clock_format() - a clock_realtime() in UTC (RFC 3339), always CLOCK_TEXT_MAX - 1 characters. Return: @buffer */
const char *clock_format(uint64_t realtime_usec, char buffer[static CLOCK_TEXT_MAX]);
