/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a rule match a request? (policy specification, section 4). Pure, and without allocation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/facts.h"
#include "policy/rule.h"
#include "policy/slice.h"
#include "policy/token.h"

/** A name in a request, looked up once: the caller, or what the requested target names. */
typedef struct PolicyParty {
        PolicySlice text; /* as written */
        uint64_t hash;
        bool is_dom0;               /* isdom0 of 4.2, but for `@adminvm` */
        const PolicyDomain *domain; /* NULL: not in the inventory */
        const PolicyAtom
                *alias; /* the domain's other name: `uuid:…` for a name, the name for a `uuid:…`; may be NULL */
} PolicyParty;

/** policy_party() - look @text up */
PolicyParty policy_party(const PolicyFacts *facts, PolicySlice text);

/** What a call is made to, as asked for or as resolved: ADMINVM, DEFAULT, DISPVM, DISPVM_BASE or NAME; NONE: nothing. */
typedef struct PolicyTarget {
        PolicyTokenKind kind;
        PolicyParty party; /* of the name, or of the base */
} PolicyTarget;

/** policy_target_is_dom0() - isdom0 (4.2) */
static inline bool policy_target_is_dom0(const PolicyTarget *target) {
        return target->kind == POLICY_TOKEN_ADMINVM || (target->kind == POLICY_TOKEN_NAME && target->party.is_dom0);
}

/** A request as rules see it. */
typedef struct PolicyQuery {
        const PolicyFacts *facts;
        const PolicyAtom *service;  /* of the policy's table; NULL: no rule names it */
        const PolicyAtom *argument; /* with its `+`; the same */
        PolicyParty source;
        PolicyTarget target;
} PolicyQuery;

typedef enum PolicyMatch {
        POLICY_MATCH_NO,
        POLICY_MATCH_YES,
        POLICY_MATCH_FAULT, /* a fact that is needed to know is missing: the call is refused (5.9) */
} PolicyMatch;

/** policy_match_subject() - do service and argument match (4.7)? */
static inline bool policy_match_subject(const PolicyRule *rule, const PolicyQuery *query) {
        return (!rule->service || rule->service == query->service) &&
               (!rule->argument || rule->argument == query->argument);
}

/** policy_match_source() - 4.3 */
PolicyMatch policy_match_source(const PolicyRule *rule, const PolicyQuery *query);

/** policy_match_target() - 4.5 */
PolicyMatch policy_match_target(const PolicyRule *rule, const PolicyQuery *query);

/** policy_match() - all of 4.7, in its order */
PolicyMatch policy_match(const PolicyRule *rule, const PolicyQuery *query);
