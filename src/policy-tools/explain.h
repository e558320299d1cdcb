/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why policy says what it says: which rule decided, which came close and what kept each from matching, and what the
 * call would become.
 */
#pragma once

#include <stdio.h>

#include "policy-tools/decision.h"

/** Rules that came close, or come too late, that are shown; of more only the number. */
#define POLICY_EXPLAIN_RULES_MAX 10

/** What keeps a rule from matching a request (policy specification, 4.7): the first thing, in that order. */
typedef enum PolicyMiss {
        POLICY_MISS_NOTHING, /* it matches */
        POLICY_MISS_SERVICE,
        POLICY_MISS_ARGUMENT,
        POLICY_MISS_SOURCE,
        POLICY_MISS_TARGET,
        POLICY_MISS_FAULT, /* it cannot be told: the call is refused (5.9) */
} PolicyMiss;

/**
 * policy_miss() - compare a rule with a request
 * @ret_is_close: is it the only thing that keeps it from matching? A service counts as close if only upper and lower
 *                case differ
 */
PolicyMiss policy_miss(const PolicyRule *rule, const PolicyQuery *query, const PolicyResolution *resolution,
                       bool *ret_is_close);

/** policy_explain_miss() - write words for it, such as "its source is 'mail', the caller is 'work'" */
void policy_explain_miss(FILE *stream, const PolicyRule *rule, const PolicyQuery *query,
                         const PolicyResolution *resolution, PolicyMiss miss);

/** policy_explain() - write all of it. Return: 0 or a negative error */
int policy_explain(FILE *stream, Policy *policy, const PolicySystem *system, const PolicyRequest *request);

/** policy_explain_matrix() - write a table of what @service may do: sources down, targets across. Return: as above */
int policy_explain_matrix(FILE *stream, Policy *policy, const PolicySystem *system, const char *service);
