/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the broker may still do when it serves, so that a bug in it is not a hole in the host. It runs under its own
 * account without capabilities already (the supervisor saw to that); here it gives up the rest:
 *
 *   Landlock: read the configuration; nothing else of the file system, no TCP, no signals to others
 *   seccomp:  a list of the system calls that its work needs; any other kills it, and the supervisor starts a new one.
 *             No execve, no fork, no connect, no ptrace, no open for writing.
 */
#pragma once

#include <stddef.h>

/**
 * sandbox_enter() - confine this process, for good
 * @readable: files and folders that stay readable, with what is below them; those that do not exist are skipped
 *
 * A kernel without Landlock is logged and accepted: seccomp and the account remain. Return: 0 or a negative error.
 */
int sandbox_enter(const char *const *readable, size_t n_readable);
