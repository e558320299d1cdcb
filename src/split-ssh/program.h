/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run for a user, with all signals as a shell would have them. */
#pragma once

#include <sys/types.h>

typedef enum ProgramFlags {
        PROGRAM_NO_TERMINAL = 1 << 0, /* no terminal to ask at, no standard input */
        PROGRAM_NO_OUTPUT = 1 << 1,   /* what it prints is dropped */
        PROGRAM_NO_ERRORS = 1 << 2,   /* what it complains is dropped */
} ProgramFlags;

/** program_spawn() - start @argv, whose first word is a path. Return: 0 or -errno (not logged) */
int program_spawn(const char *const *argv, unsigned flags, pid_t *ret_pid);
