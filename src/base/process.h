/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

/**
 * process_wait() - wait for the end of a child, whatever interrupts that, and reap it
 *
 * Return: its exit status, 128 + N if signal N ended it, or -errno (not logged).
 */
int process_wait(pid_t pid);

/**
 * process_fork() - fork(2), and a descriptor by which the child is watched
 * @ret_pidfd: in the parent; close-on-exec, the caller's
 *
 * Whether there is room for the descriptor is known before there is a child, so one that cannot be watched does nothing
 * of what it was made for. Return: as fork(2); -1 with errno (not logged).
 */
pid_t process_fork(int *ret_pidfd);

/** process_kill() - end a child, and reap it; the descriptor stays the caller's */
void process_kill(int pidfd);
