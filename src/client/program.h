/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local program: what talks to the service in the caller's place.
 */
#pragma once

#include <stdbool.h>

typedef struct Program {
        const char *path;          /* executed as it is, without a search */
        char **argv;               /* NULL-terminated, argv[0] included */
        const char *remote_domain; /* value of QREXEC_REMOTE_DOMAIN; NULL: not set */
        bool save_fds;             /* pass our own stdin and stdout on, by SAVED_FD_0, 1 (and 2, 5.13) */
} Program;

typedef struct ProgramEnds {
        int in_fd;  /* readable: its stdout */
        int out_fd; /* writable: its stdin */
        int pidfd;
} ProgramEnds;

/**
 * program_start() - start it with a socket pair each as stdin and stdout (protocol specification, 5.13)
 * @ret_ends: the caller's to close
 *
 * data_prepare() must have been called: the program may ask for single-socket mode at once. A program that cannot be
 * executed says so on stderr and ends with 255. Return: 0 or a negative error.
 */
int program_start(const Program *program, ProgramEnds *ret_ends);

/**
 * program_start_with() - start it with these as its stdin and stdout; there is no single-socket mode then
 * @stdin_fd, @stdout_fd: 3 or above; stay the caller's
 * @ret_pidfd: the caller's to close
 *
 * Otherwise as program_start().
 */
int program_start_with(const Program *program, int stdin_fd, int stdout_fd, int *ret_pidfd);
