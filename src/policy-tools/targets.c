/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/targets.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"

static int targets_add(PolicyTargets *targets, const char *prefix, const char *name) {
        char *text = NULL;

        if (asprintf(&text, "%s%s", prefix, name) < 0)
                return error_origin(-ENOMEM);
        targets->names[targets->n++] = text;
        return 0;
}

int policy_targets_init(PolicyTargets *targets, const PolicyFacts *facts) {
        int r = 0;

        *targets = (PolicyTargets){};
        targets->names = calloc(2 * facts->n_domains + 2, sizeof(*targets->names));
        if (!targets->names)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < facts->n_domains && r == 0; ++i)
                r = targets_add(targets, "", facts->domains[i].name->text);
        r = r ?: targets_add(targets, "@dispvm", "");
        for (size_t i = 0; i < facts->n_domains && r == 0; ++i)
                if (facts->domains[i].is_base == POLICY_FACT_YES)
                        r = targets_add(targets, "@dispvm:", facts->domains[i].name->text);
        return r ?: targets_add(targets, "@default", "");
}

void policy_targets_deinit(PolicyTargets *targets) {
        for (size_t i = 0; i < targets->n; ++i)
                free(targets->names[i]);
        free(targets->names);
        *targets = (PolicyTargets){};
}
