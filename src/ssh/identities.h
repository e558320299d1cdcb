/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identities that exist for a source: the real agent's, as far as a key line lets them in (split-ssh specification,
 * 7.2), in their order.
 */
#pragma once

#include "ssh/message.h"
#include "ssh/policy.h"

typedef struct SshIdentity {
        WireSlice blob, comment; /* the comment is the real one */
        SshFingerprint fingerprint;
        const SshKeyLine *line;
} SshIdentity;

typedef struct SshIdentities {
        uint8_t *message; /* a copy of the answer: what the slices point into */
        SshIdentity *items;
        size_t n, n_total;
} SshIdentities;

enum {
        _SSH_IDENTITIES_E_SUCCESS,
        SSH_IDENTITIES_E_MALFORMED, /* the agent's answer is not one */
};

/** ssh_identities_init() - filter a whole message of type 12. Return: 0, SSH_IDENTITIES_E_MALFORMED or a negative error */
int ssh_identities_init(SshIdentities *identities, const SshRules *rules, WireSlice message);
void ssh_identities_deinit(SshIdentities *identities);

/** ssh_identities_find() - the one with exactly this blob; NULL: none */
const SshIdentity *ssh_identities_find(const SshIdentities *identities, WireSlice untrusted_blob);

/** ssh_identities_encode() - as the answer to the client, with aliases. Return: the frame's size, 0: too long */
size_t ssh_identities_encode(const SshIdentities *identities, uint8_t *ret_frame);
