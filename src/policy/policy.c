/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

#define RULES_ALLOCATED_MIN 64

int policy_new(Policy **ret_policy) {
        Policy *policy = calloc(1, sizeof(*policy));

        if (!policy)
                return error_origin(-ENOMEM);
        policy->n_refs = 1;
        *ret_policy = policy;
        return 0;
}

Policy *policy_ref(Policy *policy) {
        ++policy->n_refs;
        return policy;
}

Policy *policy_unref(Policy *policy) {
        if (!policy || --policy->n_refs > 0)
                return NULL;
        diagnostics_deinit(&policy->warnings);
        free(policy->files);
        policy_index_deinit(&policy->index);
        free(policy->rules);
        policy_atoms_deinit(&policy->atoms);
        free(policy);
        return NULL;
}

int policy_add_rule(Policy *policy, const PolicyRule *rule) {
        if (policy->n_rules == policy->n_allocated) {
                size_t n = policy->n_allocated ? policy->n_allocated * 2 : RULES_ALLOCATED_MIN;
                PolicyRule *larger = reallocarray(policy->rules, n, sizeof(*larger));

                if (!larger)
                        return error_origin(-ENOMEM);
                policy->rules = larger;
                policy->n_allocated = n;
        }
        policy->rules[policy->n_rules++] = *rule;
        return 0;
}

int policy_compile(Policy *policy) {
        return error_trace(policy_index_build(&policy->index, policy->rules, policy->n_rules));
}

int policy_add_file(Policy *policy, const PolicyAtom *path) {
        const PolicyAtom **larger = reallocarray(policy->files, policy->n_files + 1, sizeof(*larger));

        if (!larger)
                return error_origin(-ENOMEM);
        policy->files = larger;
        policy->files[policy->n_files++] = path;
        return 0;
}
