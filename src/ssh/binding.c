/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/binding.h"

#include <string.h>

#include "ssh/codec.h"

bool ssh_bound_is(const SshBound *bound, WireSlice session_id) {
        return slice_equal((WireSlice){ bound->session_id, bound->n_session_id }, session_id);
}

static const SshBound *find(const SshBindings *bindings, WireSlice session_id) {
        for (size_t i = 0; i < bindings->n; ++i)
                if (ssh_bound_is(bindings->bound + i, session_id))
                        return bindings->bound + i;
        return NULL;
}

int ssh_bindings_check(const SshBindings *bindings, const SshBinding *binding) {
        const SshBound *last = ssh_bindings_last(bindings), *known;
        uint8_t host_key[SHA256_SIZE];

        if (last && !last->is_forwarding)
                return SSH_BINDINGS_E_BOUND;
        known = find(bindings, binding->session_id);
        if (!known)
                return bindings->n == SSH_BINDINGS_MAX ? SSH_BINDINGS_E_FULL : 0;
        sha256(binding->host_key.data, binding->host_key.n, host_key);
        return memcmp(known->host_key, host_key, sizeof(host_key)) == 0 ? 0 : SSH_BINDINGS_E_OTHER;
}

void ssh_bindings_record(SshBindings *bindings, const SshBinding *binding, bool is_verified) {
        SshBound *bound;

        if (bindings->n == SSH_BINDINGS_MAX || binding->session_id.n > SSH_SESSION_ID_MAX ||
            find(bindings, binding->session_id))
                return;
        bound = bindings->bound + bindings->n++;
        *bound = (SshBound){
                .n_session_id = binding->session_id.n,
                .fingerprint = ssh_blob_fingerprint(binding->host_key),
                .is_forwarding = binding->is_forwarding,
                .is_verified = is_verified,
        };
        memcpy(bound->session_id, binding->session_id.data, binding->session_id.n);
        sha256(binding->host_key.data, binding->host_key.n, bound->host_key);
}

bool ssh_bindings_has_forwarding(const SshBindings *bindings) {
        for (size_t i = 0; i < bindings->n; ++i)
                if (bindings->bound[i].is_forwarding)
                        return true;
        return false;
}
