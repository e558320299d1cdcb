/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policy says, worked out the slow way: going through the rules one by one and comparing texts, as sections 4 and 5
 * of the policy specification are written. It shares nothing with the engine but the parsed rules; to compare with what
 * the compiled policy says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/facts.h"
#include "policy/policy.h"

/** Texts of the oracle, with their NUL; a request or an inventory with longer ones must not be tried. */
#define ORACLE_TEXT_MAX 256

/** Choices of one question: every domain, every base, and what a rule names. */
#define ORACLE_CHOICES_MAX 256

/** The domains, as policy_facts_new() is told of them; no more than ORACLE_CHOICES_MAX / 4. */
typedef struct OracleInventory {
        const PolicyDomainInput *domains;
        size_t n_domains;
} OracleInventory;

/** The words of one request; empty: not given. */
typedef struct OracleRequest {
        char source[ORACLE_TEXT_MAX];
        char target[ORACLE_TEXT_MAX];
        char service[ORACLE_TEXT_MAX]; /* NAME or NAME+ARGUMENT */
        char requested_source[ORACLE_TEXT_MAX];
} OracleRequest;

/** oracle_check() - does the engine say the same, with every answer to a question too? Aborts if not */
void oracle_check(Policy *policy, PolicyFacts *facts, const OracleInventory *inventory, const OracleRequest *request);
