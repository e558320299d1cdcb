/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

/**
 * process_wait() - wait for the end of a child, whatever interrupts that, and reap it
 *
 * Return: its exit status, 128 + N if signal N ended it, or -errno (not logged).
 */
int process_wait(pid_t pid);
