/* SPDX-License-Identifier: Apache-2.0 */
/* The real agent: where its socket is, and a connection to it (split-ssh specification, 5.2 step 4, 6.4). */
#pragma once

#include <limits.h>

#include "ssh/policy.h"

enum {
        _SSH_UPSTREAM_E_SUCCESS,
        SSH_UPSTREAM_E_PATH,    /* too long for a socket */
        SSH_UPSTREAM_E_GPG,     /* gpgconf does not say where gpg-agent is */
        SSH_UPSTREAM_E_MISSING, /* no socket there */
        SSH_UPSTREAM_E_OWNER,   /* neither root's nor the effective user's */
        SSH_UPSTREAM_E_CONNECT, /* nobody listens, or not in time */
        SSH_UPSTREAM_E_PEER,    /* who listens is neither root nor the effective user */
};

/**
 * ssh_upstream_connect() - connect to the agent that the rules name
 * @socket_path: in place of what the rules say; NULL: none
 * @run_dir:     where agents have their sockets by default
 * @ret_path:    what was tried, for messages; also filled on failure
 * @ret_fd:      non-blocking
 *
 * Return: 0 or SSH_UPSTREAM_E_…, for the last ones with errno set.
 */
int ssh_upstream_connect(const SshRules *rules, const char *socket_path, const char *run_dir,
                         char ret_path[static PATH_MAX], int *ret_fd);

/** ssh_upstream_error_text() - words for the log */
const char *ssh_upstream_error_text(int r);
