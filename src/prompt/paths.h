/* SPDX-License-Identifier: Apache-2.0 */
/* Where the policy agent of an account listens: in the account's own run directory, nobody else's. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/** Longest path of a socket, with its NUL: sun_path. */
#define PATHS_MAX 108

#define PATHS_ASK   "policy-agent.sock"
#define PATHS_FRONT "policy-prompts.sock"

enum {
        _PATHS_E_SUCCESS,
        PATHS_E_LENGTH, /* it does not fit a socket's address */
};

/**
 * paths_directory() - $XDG_RUNTIME_DIR/qubes, or /run/user/UID/qubes
 * @uid: whose; the environment counts for our own only
 *
 * Return: 0 or PATHS_E_LENGTH.
 */
int paths_directory(uid_t uid, char ret_path[static PATHS_MAX]);

/** paths_beside() - @name in the folder of the socket @path. Return: 0 or PATHS_E_LENGTH */
int paths_beside(const char *path, const char *name, char ret_path[static PATHS_MAX]);
