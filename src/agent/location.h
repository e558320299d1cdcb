/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an agent finds its broker, and the fork server of its account.
 */
#pragma once

/** Each domain has a folder there, with `link` in it. */
#define LOCATION_LINKS "/run/qubes/domains"
/** Where a sandbox or container finds the link of its own run directory mounted. */
#define LOCATION_LINK_INSIDE "/run/qubes/link"

/** Below $XDG_RUNTIME_DIR, since /run/qubes is root's where domains are accounts; without one below /run. */
#define LOCATION_FORK_SERVER "qubes/qrexec-server.%s.sock"

/**
 * location_fork_server() - the path of the socket
 * @pattern: an absolute path in which the first "%s" stands for the account; NULL: the default, by the environment
 * @account: a name without "/"; else there is no path
 *
 * Return: the caller's to free(), or NULL: no memory, or such a name.
 */
char *location_fork_server(const char *pattern, const char *account);
