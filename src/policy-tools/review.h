/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What surprises people in a policy that loads: rules that can never match, that name nobody, that let through more
 * than they seem to. Looked at on this host, with the domains that it has.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/diagnostic.h"
#include "inventory/inventory.h"
#include "policy/facts.h"
#include "policy/policy.h"

/** Services that do anything in the target that whoever calls them wants. */
extern const char *const policy_review_shells[];

typedef struct PolicyReviewOptions {
        /* Has any domain a file for this service? NULL: not to be looked at */
        bool (*has_service)(const char *service, void *userdata);
        void *userdata;
        const Inventory *inventory; /* what other hosts call their domains; NULL: not known */
} PolicyReviewOptions;

/**
 * policy_review() - add a finding for each surprise, by line of the rules' files
 *
 * Return: 0 or a negative error.
 */
int policy_review(const Policy *policy, PolicyFacts *facts, const PolicyReviewOptions *options, Diagnostics *findings);
