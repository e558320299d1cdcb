/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that a client may use, and the gpg-agent that has them. The filter sees hashes alone and cannot tell a signature
 * under a file from one that certifies a key; so, unless the configuration says otherwise, the agent it speaks to has the
 * subkeys and not the primary keys (split-gpg specification, 12): a home of their own, `qubes-auto-keyring` within the real
 * one, whose private-keys-v1.d holds copies of the subkeys' files. They are copied as they are, encrypted as they are:
 * nobody is asked for a passphrase. What has changed in the real home is copied anew.
 */
#pragma once

#include <limits.h>

#include "gpg2/config.h"
#include "gpg2/keylist.h"

/** A key's file. */
#define KEYRING_FILE_MAX (64 * 1024)

typedef struct Keyring {
        char home[PATH_MAX];         /* the agent's */
        char socket[PATH_MAX];       /* the agent's own */
        char extra_socket[PATH_MAX]; /* where it answers what a client elsewhere may ask */
        KeyList list;
} Keyring;

enum {
        _KEYRING_E_SUCCESS,
        KEYRING_E_FAILED, /* the log says why */
};

/** keyring_deinit() - harmless on an all-zero one; the agent goes on */
void keyring_deinit(Keyring *keyring);

/**
 * keyring_open() - find the keys, bring the subkeys' home up to date, start the agent
 * @source: the client's name, which is a valid one
 *
 * SIGPIPE must be ignored. Return: 0, KEYRING_E_FAILED (logged), or a negative error.
 */
int keyring_open(const Gpg2Config *config, const char *source, Keyring *ret_keyring);
