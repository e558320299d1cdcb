/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which decisions differ between two policies. Asked about is every pair of a source and a target (policy-tools/targets.h),
 * for every service and argument that either policy names, and for one that neither does: `SERVICE+*` is any argument
 * that is not named, `*` any service. A difference that is the same for what is not named is told once, there; and what is
 * the same for several sources or targets is told of them together. A call that goes where it was asked to go is just
 * `allow`; of two questions only what one of them does not offer is told.
 *
 * Calls of dom0 are not subject to policy and are left out.
 */
#pragma once

#include <stdio.h>

#include "policy-tools/system.h"
#include "policy/policy.h"

/**
 * policy_compare() - write the differences, each a line and two lines for what was and what is
 * @ret_n: how many pairs of a source and a target differ, in one service or another
 *
 * Return: 0 or a negative error.
 */
int policy_compare(FILE *stream, Policy *old_policy, Policy *new_policy, const PolicySystem *system, size_t *ret_n);
