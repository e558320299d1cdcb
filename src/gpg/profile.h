/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables that people set in their ~/.profile (split-gpg specification, 3.2). On Qubes services run in a login session,
 * which has read it; here they need not.
 */
#pragma once

/** Longest value. */
#define GPG_PROFILE_VALUE_MAX 63

/**
 * gpg_profile_get() - a variable of the environment; else what /etc/profile.d/qubes-gpg.sh or ~/.profile sets it to
 * @name: letters and underscores, never foreign: a shell reads those files, and only if they mention it
 *
 * Return: @ret_value, "" where it is not set.
 */
const char *gpg_profile_get(const char *name, char ret_value[static GPG_PROFILE_VALUE_MAX + 1]);
