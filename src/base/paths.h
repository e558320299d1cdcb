/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are: on the host, or for one ordinary user who runs the same programs for sandboxes of his own. Decided
 * once, here; everybody else is given the result.
 *
 *                 host                                     a user
 *   run_dir       /run/qubes                               $XDG_RUNTIME_DIR/qubes
 *   config_dir    /etc/qubes                               $XDG_CONFIG_HOME/qubes     (~/.config/qubes)
 *   audit_dir     /var/log/qubes                           $XDG_STATE_HOME/qubes      (~/.local/state/qubes)
 *   homes_dir     none: domains are accounts               $XDG_DATA_HOME/qubes/homes (~/.local/share/qubes/homes)
 *
 * A variable that is not set, or is no absolute path, means what stands in parentheses (XDG Base Directory
 * Specification); for XDG_RUNTIME_DIR there is no such thing.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** On the host. Where QAIR_CONFDIR is, who includes this is told by the build (path_args). */
#define PATHS_RUN_DIR        "/run/qubes"
#define PATHS_POLICY_RUN_DIR PATHS_RUN_DIR "/policy.d"
#define PATHS_POLICY_DIR     QAIR_CONFDIR "/policy.d"
#define PATHS_DOMAINS_DIR    QAIR_CONFDIR "/domains.d"

/** Below the run directory of an account's sessions: what asks a person, and the front ends that show its questions. */
#define PATHS_POLICY_AGENT   "qubes/policy-agent.sock"
#define PATHS_POLICY_PROMPTS "qubes/policy-prompts.sock"

typedef struct Paths {
        bool is_user;
        char run_dir[PATH_MAX];
        char config_dir[PATH_MAX];
        char domains_dir[PATH_MAX]; /* config_dir/domains.d */
        char policy_dir[PATH_MAX];  /* config_dir/policy.d */
        char policy_run_dir[PATH_MAX];
        char legacy_dir[PATH_MAX];   /* policy in the format of before */
        char ask_file[PATH_MAX];     /* config_dir/ask.conf */
        char rpc_dir[PATH_MAX];      /* services that every domain has */
        char rpc_config[PATH_MAX];   /* where agents look for their configuration: folders with colons between them */
        char admin_socket[PATH_MAX]; /* dom0's own trigger socket */
        char audit_dir[PATH_MAX];
        char homes_dir[PATH_MAX]; /* "" on the host */
} Paths;

enum {
        _PATHS_E_SUCCESS,
        PATHS_E_RUNTIME, /* XDG_RUNTIME_DIR is not set, or is no absolute path */
        PATHS_E_HOME,    /* HOME is not, and would be needed */
        PATHS_E_LONG,    /* too long for a path, or for a socket's */
};

/** paths_host() - those of the host; cannot fail */
void paths_host(Paths *ret_paths);

/** paths_user() - those of the user whose environment this is. Return: 0 or PATHS_E_… */
int paths_user(Paths *ret_paths);

/**
 * paths_config() - @below in what the account has configured: $XDG_CONFIG_HOME, or ~/.config
 *
 * Return: 0, PATHS_E_HOME or PATHS_E_LONG.
 */
int paths_config(const char *below, char ret_path[static PATH_MAX]);

/**
 * paths_session() - @below in the run directory of an account's sessions: $XDG_RUNTIME_DIR, or /run/user/UID
 * @uid:   whose; the environment counts for our own only. A service may be without it
 * @n_max: size of @ret_path, with the NUL
 *
 * Return: 0 or PATHS_E_LONG.
 */
int paths_session(uid_t uid, const char *below, char *ret_path, size_t n_max);

/** paths_error_text() - what to do about a PATHS_E_… */
const char *paths_error_text(int r);
