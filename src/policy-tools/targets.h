/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a caller can ask for: each domain, `@dispvm`, `@dispvm:NAME` for each base, `@default`; in this order.
 */
#pragma once

#include <stddef.h>

#include "policy/facts.h"

typedef struct PolicyTargets {
        char **names;
        size_t n;
} PolicyTargets;

/** policy_targets_init() - collect them; deinitialise also on failure. Return: 0 or a negative error */
int policy_targets_init(PolicyTargets *targets, const PolicyFacts *facts);

/** policy_targets_deinit() - harmless on an all-zero one */
void policy_targets_deinit(PolicyTargets *targets);
