/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking a file line by line, each line by itself (policy specification, 9.4): whether it is well formed, not what it
 * names nor what it does.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "policy/slice.h"

typedef struct PolicyCheckOptions {
        bool is_old;                    /* in the old format (3.5), for any service and argument */
        bool shows_line;                /* append the line to each error */
        const char *const *directories; /* where files of `$include:` may be; ends with NULL. Only of the old format.
                                           NULL: nobody looks */
} PolicyCheckOptions;

/**
 * policy_check() - write an error a line, `PATH:LINE: error: TEXT`
 * @warnings: receives the warning of 3.6
 * @path:     what the file is called
 *
 * A file of `$include:PATH` that is in none of the directories is an error; with `!include` nobody looks.
 * Return: 0 or a negative error.
 */
int policy_check(FILE *stream, FILE *warnings, const PolicyCheckOptions *options, const char *path,
                 PolicySlice untrusted_text, size_t *ret_n_errors);
