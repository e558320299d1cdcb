/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision (policy specification, section 5). Pure: no file, no clock, no allocation; the same policy, facts and
 * request always yield the same resolution, and none of these functions can fail.
 *
 *   policy_evaluate() --- deny --> refuse
 *                     --- ask ---> policy_question_new(), a person, policy_question_answer() --- deny --> refuse
 *                     --- allow -----------------------------------------------'
 *                           |
 *                           v   log "allowed"
 *                     policy_route() --- deny --> refuse
 *                           |
 *                           v   connect
 */
#pragma once

#include "policy/facts.h"
#include "policy/policy.h"
#include "policy/resolution.h"

/**
 * policy_evaluate() - decide (5.1 to 5.3, 5.5)
 * @ret_resolution: ALLOW with a target, not yet routed; ASK with the rule that asks; or DENY with a reason
 */
void policy_evaluate(const Policy *policy, const PolicyFacts *facts, const PolicyRequest *request,
                     PolicyResolution *ret_resolution);

/**
 * policy_route() - where an allowed call goes (5.6, 5.7)
 *
 * Fills in destination, user and autostart, or turns the resolution into a refusal: a call to oneself, a remote domain
 * that cannot be reached. A resolution that is not ALLOW stays as it is. Apart from policy_evaluate(), because the call
 * is logged as allowed before (5.8), and because who only wants to know what policy says stops there (5.11).
 */
void policy_route(const PolicyFacts *facts, PolicyResolution *resolution);

/** policy_query() - the request as rules see it, for who goes through them in another way (questions, explanations) */
PolicyQuery policy_query(const Policy *policy, const PolicyFacts *facts, const PolicyResolution *resolution);

/** policy_target_needs_start() - would a call to it start something (5.4)? NAME or DISPVM_BASE */
PolicyFact policy_target_needs_start(const PolicyTarget *target);
