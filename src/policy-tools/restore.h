/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying a saved policy directory into one in use (policy specification, 9.7). First a plan: all files in an order in
 * which each comes after those that it includes; then, if the whole policy would load, the files that are not there yet.
 */
#pragma once

#include <stdio.h>

#include "base/diagnostic.h"

enum {
        _POLICY_RESTORE_E_SUCCESS,
        POLICY_RESTORE_E_INVALID, /* diagnostics say why; nothing was written but DEST/include, if it was missing */
};

/**
 * policy_restore() - copy the files of @source, and of its folder `include`, to @dest
 * @notes:  told of each file that exists in @dest and is left alone
 * @legacy: what !compat-4.0 reads; NULL: POLICY_LEGACY_DIRECTORY
 *
 * Names that begin with `.` are left out. @dest is locked meanwhile, as for the Admin API; this may wait for others.
 * Return: 0, POLICY_RESTORE_E_INVALID, or a negative error.
 */
int policy_restore(const char *source, const char *dest, const char *legacy, FILE *notes, Diagnostics *reterr);
