/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection said it is for (split-ssh specification, 4.3, 7.4): session ids and the host keys that signed them.
 * The same rules as an agent's, and the agent is asked first; a binding only ever narrows what may be signed. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/sha256.h"
#include "ssh/key.h"
#include "ssh/message.h"

/** Most bindings of a connection: specification, 4.3. */
#define SSH_BINDINGS_MAX 16

enum {
        _SSH_BINDINGS_E_SUCCESS,
        SSH_BINDINGS_E_BOUND, /* bound without forwarding: nothing can come after that */
        SSH_BINDINGS_E_OTHER, /* the session id is another host key's */
        SSH_BINDINGS_E_FULL,
};

typedef struct SshBound {
        uint8_t session_id[SSH_SESSION_ID_MAX];
        size_t n_session_id;
        uint8_t host_key[SHA256_SIZE]; /* hash of the blob as it came */
        SshFingerprint fingerprint;    /* of its plain form */
        bool is_forwarding, is_verified;
} SshBound;

typedef struct SshBindings {
        SshBound bound[SSH_BINDINGS_MAX];
        size_t n;
        bool has_failed; /* a binding was refused */
} SshBindings;

/** ssh_bindings_check() - may it be forwarded to the agent? Return: 0 or SSH_BINDINGS_E_… */
int ssh_bindings_check(const SshBindings *bindings, const SshBinding *binding);

/**
 * ssh_bindings_record() - the agent accepted it
 * @binding:     has passed ssh_bindings_check() since the last record
 * @is_verified: the agent verified the signature
 *
 * What is there already is not recorded again.
 */
void ssh_bindings_record(SshBindings *bindings, const SshBinding *binding, bool is_verified);

/** ssh_bindings_last() - B of the specification, 9.2; NULL: none */
static inline const SshBound *ssh_bindings_last(const SshBindings *bindings) {
        return bindings->n > 0 ? bindings->bound + bindings->n - 1 : NULL;
}

/** ssh_bindings_has_forwarding() - does some binding say that the connection is forwarded? */
bool ssh_bindings_has_forwarding(const SshBindings *bindings);

/** ssh_bound_is() - is it for this session id? */
bool ssh_bound_is(const SshBound *bound, WireSlice session_id);
