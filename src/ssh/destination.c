/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/destination.h"

static bool via_is_allowed(const SshRules *rules, const SshSettings *settings, const SshBindings *bindings) {
        for (size_t i = 0; i < bindings->n; ++i) {
                const SshBound *bound = bindings->bound + i;

                if (bound->is_forwarding &&
                    (!bound->is_verified || !ssh_rules_host_listed(rules, &settings->via, &bound->fingerprint)))
                        return false;
        }
        return true;
}

/* Rows 1 to 5 of the specification's table (9.2): what the bindings rule out, whatever the request says. */
static SshWhy check_bindings(const SshRules *rules, const SshSettings *settings, const SshBindings *bindings,
                             WireSlice session_id) {
        const SshBound *last = ssh_bindings_last(bindings);

        if (settings->host.n > 0 && bindings->has_failed)
                return SSH_WHY_BIND_FAILED;
        if (last && !last->is_forwarding && !ssh_bound_is(last, session_id))
                return SSH_WHY_SESSION_MISMATCH;
        if (last && last->is_forwarding && ssh_bound_is(last, session_id))
                return SSH_WHY_FORWARD_SIGN;
        if (!settings->forwarded && ssh_bindings_has_forwarding(bindings))
                return SSH_WHY_FORWARDED;
        if (settings->forwarded && settings->via.n > 0 && !via_is_allowed(rules, settings, bindings))
                return SSH_WHY_VIA;
        return SSH_WHY_NONE;
}

SshWhy ssh_destination_evaluate(const SshRules *rules, const SshSettings *settings, const SshBindings *bindings,
                                const SshSignData *data, SshDestination *ret_destination) {
        const SshBound *last = ssh_bindings_last(bindings);
        bool is_session = last && ssh_bound_is(last, data->session_id);
        SshDestination destination = {};
        SshWhy why;

        if (data->is_host_bound) {
                destination.has_key = true;
                destination.key = ssh_blob_fingerprint(data->host_key);
                destination.proof = SSH_PROOF_SIGNATURE;
        } else if (is_session && !last->is_forwarding) {
                destination.has_key = true;
                destination.key = last->fingerprint;
                destination.proof = last->is_verified ? SSH_PROOF_SESSION : SSH_PROOF_NONE;
        }
        if (destination.has_key)
                destination.host = ssh_rules_host(rules, &destination.key);
        *ret_destination = destination;

        why = check_bindings(rules, settings, bindings, data->session_id);
        if (why != SSH_WHY_NONE)
                return why;
        if (data->is_host_bound && is_session && !ssh_fingerprint_equal(&last->fingerprint, &destination.key))
                return SSH_WHY_HOSTKEY_MISMATCH;
        if (settings->host.n > 0 &&
            (destination.proof == SSH_PROOF_NONE || !ssh_rules_host_listed(rules, &settings->host, &destination.key)))
                return SSH_WHY_HOST;
        return SSH_WHY_NONE;
}

const char *ssh_proof_name(SshProof proof) {
        static const char *const names[_SSH_PROOF_N] = {
                [SSH_PROOF_NONE] = "none",
                [SSH_PROOF_SESSION] = "session",
                [SSH_PROOF_SIGNATURE] = "signature",
        };

        return names[proof];
}
