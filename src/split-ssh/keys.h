/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of an agent: what is in its folder, and how it gets into the agent. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "split-ssh/keyfile.h"

/** Keys in one folder; more are an error. */
#define KEYS_MAX 256

typedef struct Key {
        char path[PATH_MAX];
        char *options; /* cut into words; or NULL */
        const char *words[KEYFILE_WORDS_MAX + 1];
        size_t n_words;
        bool refused; /* it, or what stands beside it, may not be believed; it has been logged why */
} Key;

typedef struct Keys {
        Key *keys; /* by name */
        size_t n;
} Keys;

enum {
        _KEYS_E_SUCCESS,
        KEYS_E_NONE,    /* no such folder, or no key in it */
        KEYS_E_FAILED,  /* it cannot be read: logged */
        KEYS_E_SSH_ADD, /* ssh-add failed; its status is in *@ret_status */
};

/**
 * keys_read() - what is in @folder (split-ssh specification, 3.3)
 * @ret_keys: keys_deinit() it
 *
 * A key that group or others may write, or whose options they may, or whose options are not allowed, is refused.
 * Return: 0, KEYS_E_NONE, KEYS_E_FAILED, or a negative error.
 */
int keys_read(const char *folder, Keys *ret_keys);

/** keys_deinit() - harmless on zeros, and when repeated */
void keys_deinit(Keys *keys);

/**
 * keys_load() - have ssh-add put them into an agent, in their order
 * @socket:  the agent's
 * @at_start: go on after a failure, and never ask for a passphrase; else the first failure ends it
 *
 * Return: 0, KEYS_E_SSH_ADD (not @at_start), or a negative error.
 */
int keys_load(const Keys *keys, const char *socket, bool at_start, int *ret_status);

/**
 * keys_run_ssh_add() - run ssh-add with @arguments (NULL at the end) for the agent at @socket, and wait for it
 * @quiet: without terminal, standard output and passphrases
 *
 * Return: 0 and its status (128 + N if a signal ended it), or a negative error.
 */
int keys_run_ssh_add(const char *socket, const char *const *arguments, bool quiet, int *ret_status);
