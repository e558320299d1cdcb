/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains and policy that were read once and are kept for the next request, as long as nothing was saved since: for a process
 * that answers many. Reading them costs more than a decision by far, and a request must never be decided by what is out of
 * date. So it is kept only where a change cannot be missed:
 *
 *   - the domains come from a folder, not from a socket that would have to be asked each time;
 *   - both load without an error; what is broken is read again by whoever needs it, and the error said there;
 *   - no path leads through a symbolic link, no file has a second name: writes elsewhere would not be seen;
 *   - every folder is watched (inotify), and is still the same one at its path: not renamed, replaced or mounted over.
 */
#pragma once

#include "policy-tools/handler.h"

/** Folders that are watched; where a policy includes from more, nothing is kept. */
#define POLICY_KEPT_FOLDERS_MAX 64

typedef struct PolicyKept PolicyKept;

/**
 * policy_kept_new() - nothing is read yet
 * @handler: whose files; must outlive it, and have system and policy NULL. They are set here, and only here
 *
 * Return: 0 or a negative error.
 */
int policy_kept_new(PolicyHandler *handler, PolicyKept **ret_kept);

/** policy_kept_free() - forget; sets the handler's system and policy to NULL. Accepts NULL. Return: NULL */
PolicyKept *policy_kept_free(PolicyKept *kept);
DEFINE_CLEANUP(PolicyKept *, policy_kept_free)

/**
 * policy_kept_refresh() - read anew, if anything was saved; in the process that forks those which answer
 *
 * Return: 0 or a negative error.
 */
int policy_kept_refresh(PolicyKept *kept);

/** policy_kept_check() - in one that was forked, with the request at hand: forget what is not in force any more */
void policy_kept_check(PolicyKept *kept);
