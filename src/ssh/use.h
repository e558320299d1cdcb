/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One use of a key: what a sign request asks for, what the rules say of it, and how log, record and grant tell of it
 * (split-ssh specification, 7.3, 10 and 12). Pure.
 */
#pragma once

#include "base/sha256.h"
#include "ssh/binding.h"
#include "ssh/destination.h"
#include "ssh/identities.h"
#include "ssh/text.h"

/** A record for the helper, or a line of the log, at most: some thirty values. */
#define SSH_RECORD_SIZE 10240

typedef struct SshUse {
        const SshRules *rules;
        const SshBindings *bindings;
        SshSignRequest request;
        const SshIdentity *identity; /* NULL: none that exists for the source */
        SshSettings settings;        /* of the identity, else of the source */
        bool is_classified;          /* @data and @destination are filled */
        SshSignData data;
        SshDestination destination;
} SshUse;

/**
 * ssh_use_init() - a request that has been decoded
 * @identities: those that exist for the source
 */
void ssh_use_init(SshUse *use, const SshRules *rules, const SshBindings *bindings, const SshIdentities *identities,
                  const SshSignRequest *request);

/** ssh_use_check() - steps 2 to 9 of the specification, 7.3; fills @use for log and record. Return: the first that fails */
SshWhy ssh_use_check(SshUse *use);

/** ssh_use_check_answer() - step 13: is the signature of the format that was asked for? */
SshWhy ssh_use_check_answer(const SshUse *use, WireSlice format);

/** ssh_use_can_be_granted() - may a "yes" to this be remembered (10.1, 10.3)? */
bool ssh_use_can_be_granted(const SshUse *use);

/** ssh_use_grant_name() - what the grant for this is filed under, as hexadecimal digits (10.3) */
void ssh_use_grant_name(const SshUse *use, char ret_name[static SHA256_TEXT_SIZE]);

/**
 * ssh_use_record() - for the helper (10.2)
 * @why: of a notice: SSH_WHY_NONE: it was signed
 * @timeout_sec: of a question; 0: this is a notice
 */
void ssh_use_record(const SshUse *use, SshWhy why, unsigned timeout_sec, char buffer[static SSH_RECORD_SIZE]);

/** ssh_use_log() - add the fields of ev=sign that say what it was: kind … hash */
void ssh_use_log(const SshUse *use, SshLine *line);
