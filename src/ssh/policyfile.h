/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ssh/policy.h"

/**
 * ssh_policy_load() - read the configuration (split-ssh specification, 6.1)
 * @path: only this file, which must exist; NULL: filter.conf and filter.d/ of /etc/split-ssh, of /rw/config/split-ssh,
 *        and of $XDG_CONFIG_HOME/qubes/split-ssh (~/.config/qubes/split-ssh), those that exist
 *
 * Files must be regular, root's or the effective user's, and writable by nobody else.
 * Return: 0, SSH_POLICY_E_INVALID with @diagnostics, or a negative error.
 */
int ssh_policy_load(const char *path, SshPolicy **ret_policy, Diagnostics *diagnostics);
