/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule that decides: the first that matches (policy specification, 5.3). The lists of the index that can have it are
 * merged by the rules' numbers, so that the rules are seen in their order.
 */
#pragma once

#include "policy/match.h"
#include "policy/policy.h"

/**
 * policy_find() - the first rule that matches, or that cannot be told not to
 * @ret_rule: set unless the result is POLICY_MATCH_NO
 *
 * Return: POLICY_MATCH_YES; POLICY_MATCH_NO if there is no such rule; or POLICY_MATCH_FAULT, after which no later rule
 * may be asked (5.9).
 */
PolicyMatch policy_find(const Policy *policy, const PolicyQuery *query, const PolicyRule **ret_rule);
