/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One service of an agent that is root, in a container or a virtual machine: as the account that it asks for, in a session of its
 * own (protocol specification, 6.9, variant A). The agent starts this process in the service's place, with the service's
 * descriptors and QREXEC_… variables:
 *
 *   qrexec-agent (root) ── qrexec-session (root, holds the session) ── login shell ── service
 *
 * What comes from a caller is in words of argv and in variables: the shell gets all of it as positional parameters, and
 * never as text to be read. SIGTERM is passed on to the service's group; when we are killed it is killed.
 */
#pragma once

#include <stdbool.h>

/** What we end with when nothing could be started. */
#define LOGIN_EXIT_FAILED 125

/** Words that come before those of the program, at most: the shell's own, and one for each variable. */
#define LOGIN_WORDS_MAX 16

typedef struct LoginOptions {
        const char *account; /* whose */
        bool shell;          /* command[0] is a command for that account's own shell; else a program and its words */
        char **command;      /* and NULL */
} LoginOptions;

/** login_run() - open the session, run the program, wait, close the session. Return: exit status for this process */
int login_run(const LoginOptions *options);
