/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a login goes, and how sure that is (split-ssh specification, 9). Pure.
 *
 * A host-bound request has the server's key in what is signed, and is useless elsewhere: SSH_PROOF_SIGNATURE. A plain one
 * has only a session id, which is as good as the binding of it that the agent verified: SSH_PROOF_SESSION.
 */
#pragma once

#include "ssh/binding.h"
#include "ssh/policy.h"
#include "ssh/signdata.h"
#include "ssh/why.h"

typedef enum SshProof {
        SSH_PROOF_NONE,
        SSH_PROOF_SESSION,
        SSH_PROOF_SIGNATURE,
        _SSH_PROOF_N,
} SshProof;

typedef struct SshDestination {
        SshProof proof;
        bool has_key;        /* with SSH_PROOF_NONE: only claimed */
        SshFingerprint key;  /* of the server */
        const SshHost *host; /* that has this key; NULL: none */
} SshDestination;

/**
 * ssh_destination_evaluate() - may this login be signed, by where it goes?
 * @data:            of kind SSH_KIND_AUTH
 * @settings:        of the key
 * @ret_destination: also filled on refusal, as far as it is known, for the log
 *
 * Return: SSH_WHY_NONE or the reason.
 */
SshWhy ssh_destination_evaluate(const SshRules *rules, const SshSettings *settings, const SshBindings *bindings,
                                const SshSignData *data, SshDestination *ret_destination);

/** ssh_proof_name() - as log and record have it */
const char *ssh_proof_name(SshProof proof);
