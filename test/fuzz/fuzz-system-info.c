/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "policy-tools/system.h"

/* What is accepted is consistent: every domain is found by its name and by its UUID; what is not is explained. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        int r = policy_system_parse("fuzz", (const char *)data, n, &diagnostics, &system);

        fuzz_check(r == 0 || r == POLICY_SYSTEM_E_INVALID);
        fuzz_check((r == 0) == (diagnostics.n_entries == 0));
        fuzz_check((r == 0) == (system != NULL));
        if (r)
                return 0;
        fuzz_check(system->n_labels == system->facts->n_domains);
        for (size_t i = 0; i < system->facts->n_domains; ++i) {
                const PolicyDomain *domain = &system->facts->domains[i];

                fuzz_check(policy_facts_lookup(system->facts, policy_atom_slice(domain->name)) == domain);
                fuzz_check(!domain->uuid ||
                           policy_facts_lookup(system->facts, policy_atom_slice(domain->uuid)) == domain);
        }
        return 0;
}
