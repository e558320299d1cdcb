/* SPDX-License-Identifier: Apache-2.0 */
/* Which domain has the keys (split-gpg specification, 3.1). */
#pragma once

#include <stddef.h>

/** Longest content of the file gpg-split-domain. */
#define GPG_DOMAIN_MAX 255

/** gpg_domain_from_environment() - QUBES_GPG_DOMAIN. Return: borrowed; NULL: not set, or empty */
const char *gpg_domain_from_environment(void);

/**
 * gpg_domain_settle() - the profile snippet's rules, for programs that may run without it
 *
 * /rw/config/gpg-split-domain, then gpg-split-domain in the user's own configuration ($XDG_CONFIG_HOME/qubes), counts
 * more than the variable; where there is neither, it becomes "@default". Return: 0 or a negative error.
 */
int gpg_domain_settle(void);
