/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the filters of a vault share, in a folder of their own (split-ssh specification, 10.3 and 11): rates, the last
 * "no", grants, slots for connections. Locks are those of open files; they end with the process.
 *
 *   SOURCE.slot.N                             held by a connection
 *   SOURCE.ask                                held while somebody is asked
 *   SOURCE@AGENT.rate, .prompt-rate, .denied  ssh/window.h
 *   SOURCE.refused                            the same: when somebody was last told of a refusal
 *   grants/HASH                               ssh_grant_is_valid()
 *   grants/HASH.record                        the question that was answered, for people who look at their grants
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "ssh/policy.h"
#include "ssh/window.h"

enum {
        _SSH_STATE_E_SUCCESS,
        SSH_STATE_E_UNSAFE, /* the folder is a link, or somebody else's, or open to others */
        SSH_STATE_E_FULL,   /* too often, or too many */
        SSH_STATE_E_FAILED, /* the folder cannot be used: logged by the caller with errno */
};

typedef struct SshState {
        int dir_fd, grants_fd;
        char boot_id[SSH_BOOT_ID_SIZE];
} SshState;

#define SSH_STATE_INIT ((SshState){ .dir_fd = -1, .grants_fd = -1 })

/** ssh_state_open() - open the folder, made if missing. Return: 0, SSH_STATE_E_UNSAFE or SSH_STATE_E_FAILED */
int ssh_state_open(const char *path, SshState *ret_state);
void ssh_state_close(SshState *state);

/** ssh_state_slot() - take one of @n_max slots. Return: 0 and the lock, the caller's to close; SSH_STATE_E_FULL, …_FAILED */
int ssh_state_slot(const SshState *state, const char *source, unsigned n_max, int *ret_fd);

/** ssh_state_ask_lock() - open the file whose lock is held by who asks. Return: 0 or SSH_STATE_E_FAILED */
int ssh_state_ask_lock(const SshState *state, const char *source, int *ret_fd);

/**
 * ssh_state_count() - count a use in the window of that name
 * @agent:    NULL: of all agents
 * @ret_tell: set when it is too often: nobody has been told yet within this window; may be NULL
 *
 * Return: 0, SSH_STATE_E_FULL or SSH_STATE_E_FAILED.
 */
int ssh_state_count(const SshState *state, const char *source, const char *agent, const char *name, SshRate rate,
                    bool *ret_tell);

/** ssh_state_deny() - remember a "no" as of now. ssh_state_is_denied(): was there one in the last @seconds? */
void ssh_state_deny(const SshState *state, const char *source, const char *agent);
bool ssh_state_is_denied(const SshState *state, const char *source, const char *agent, unsigned seconds);

/** ssh_state_is_granted() - is there a valid grant of this name? */
bool ssh_state_is_granted(const SshState *state, const char *name);
/** ssh_state_grant() - write one, with the record of the question. Return: it worked */
bool ssh_state_grant(const SshState *state, const char *name, unsigned seconds, const char *record);
