/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may call whom, as a graph for Graphviz (policy specification, 9.3).
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "policy-tools/system.h"
#include "policy/policy.h"

/** Words that end with NULL. */
typedef const char *const *PolicyWords;

typedef struct PolicyGraphOptions {
        PolicyWords sources;  /* only these callers; NULL: every domain */
        PolicyWords targets;  /* only calls that end at these, as text; NULL: all */
        PolicyWords services; /* only these, NAME or NAME+ARGUMENT; NULL: those of the rules */
        bool includes_ask;
        bool skips_labels;
        bool is_full; /* asked calls too, with argument and action in the label */
} PolicyGraphOptions;

/** policy_graph() - write it. Return: 0 or a negative error */
int policy_graph(FILE *stream, Policy *policy, const PolicySystem *system, const PolicyGraphOptions *options);
