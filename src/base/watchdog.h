/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guards a receive, or a close, against descriptors that a peer sent unasked. The kernel drops them before recvmsg() or
 * close() returns, and dropping some kinds blocks: a TCP socket with SO_LINGER and unsent data waits for its peer, seconds or
 * minutes. One domain could so stop everybody's calls.
 *
 * Linux 6.16 can refuse such descriptors at the sender (socket_refuse_rights()), and then no watchdog is made. On
 * older kernels a timer's signal interrupts the wait, again and again until all is dropped, and the peer is found out. On a
 * machine that is busy all may be slow that never waits: that is nobody's fault.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

typedef struct Watchdog Watchdog;

/** How long it may take before somebody is suspected: nothing in it waits, so this is far too long for an honest one. */
#define WATCHDOG_USEC 20000

/** watchdog_new() - installs a handler for SIGALRM that does nothing. Return: 0 or a negative error */
int watchdog_new(Watchdog **ret_watchdog);
/** watchdog_free() - accepts NULL. Return: NULL */
Watchdog *watchdog_free(Watchdog *watchdog);
DEFINE_CLEANUP(Watchdog *, watchdog_free)

/** watchdog_arm() - before it; NULL: nothing happens */
void watchdog_arm(Watchdog *watchdog);
/** watchdog_disarm() - after it. Return: true if it had to bark: drop that peer */
bool watchdog_disarm(Watchdog *watchdog);
