/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/match.h"

PolicyParty policy_party(const PolicyFacts *facts, PolicySlice text) {
        PolicyParty party = { .text = text, .hash = policy_hash(text), .is_dom0 = policy_name_is_dom0(text) };

        party.domain = policy_facts_lookup(facts, text);
        if (party.domain)
                party.alias = policy_slice_begins(text, POLICY_SLICE(POLICY_UUID_PREFIX)) ? party.domain->name
                                                                                          : party.domain->uuid;
        return party;
}

/* same() of 4.2 */
static bool policy_match_same(const PolicyAtom *name, const PolicyParty *party) {
        return policy_atom_is(name, party->text, party->hash) ||
               (party->alias && policy_atom_equal(name, party->alias));
}

/* names() of 4.2 */
static bool policy_match_names(const PolicyAtom *name, const PolicyParty *party) {
        if (policy_name_is_dom0(policy_atom_slice(name)))
                return party->is_dom0;
        return policy_match_same(name, party);
}

static PolicyMatch policy_match_bool(bool yes) {
        return yes ? POLICY_MATCH_YES : POLICY_MATCH_NO;
}

static PolicyMatch policy_match_fact(PolicyFact fact) {
        switch (fact) {
        case POLICY_FACT_YES:
                return POLICY_MATCH_YES;
        case POLICY_FACT_NO:
                return POLICY_MATCH_NO;
        case POLICY_FACT_UNKNOWN:
                break;
        }
        return POLICY_MATCH_FAULT;
}

static PolicyMatch policy_match_type(const PolicyAtom *type, const PolicyDomain *domain) {
        return domain ? policy_match_fact(policy_domain_has_type(domain, type)) : POLICY_MATCH_NO;
}

static PolicyMatch policy_match_tag(const PolicyAtom *tag, const PolicyDomain *domain) {
        return domain ? policy_match_fact(policy_domain_has_tag(domain, tag)) : POLICY_MATCH_NO;
}

PolicyMatch policy_match_source(const PolicyRule *rule, const PolicyQuery *query) {
        const PolicyToken *token = &rule->source;

        switch (token->kind) {
        case POLICY_TOKEN_ANY:
                return POLICY_MATCH_YES;
        case POLICY_TOKEN_ANYVM:
                return policy_match_bool(!query->source.is_dom0);
        case POLICY_TOKEN_ADMINVM:
                return policy_match_bool(query->source.is_dom0);
        case POLICY_TOKEN_TYPE:
                return policy_match_type(token->value, query->source.domain);
        case POLICY_TOKEN_TAG:
                return policy_match_tag(token->value, query->source.domain);
        case POLICY_TOKEN_NAME:
                return policy_match_bool(policy_match_names(token->value, &query->source));
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
        case POLICY_TOKEN_DISPVM_BASE:
        case POLICY_TOKEN_DISPVM_TAG:
                return POLICY_MATCH_NO;
        }
        return POLICY_MATCH_NO;
}

/* A rule for `@dispvm:X`. */
static PolicyMatch policy_match_base(const PolicyAtom *name, const PolicyQuery *query) {
        const PolicyDomain *source = query->source.domain;

        if (query->target.kind == POLICY_TOKEN_DISPVM_BASE)
                return policy_match_bool(policy_match_same(name, &query->target.party));
        if (query->target.kind != POLICY_TOKEN_DISPVM)
                return POLICY_MATCH_NO;
        if (!source || !source->default_dispvm)
                return POLICY_MATCH_FAULT; /* note [R] of 4.5 */
        return policy_match_bool(policy_atom_equal(name, source->default_dispvm));
}

/* A rule for `@dispvm:@tag:T`. */
static PolicyMatch policy_match_base_tag(const PolicyAtom *tag, const PolicyQuery *query) {
        const PolicyDomain *source = query->source.domain, *base;
        PolicyMatch is_base;

        if (query->target.kind == POLICY_TOKEN_DISPVM_BASE) {
                base = query->target.party.domain;
        } else if (query->target.kind == POLICY_TOKEN_DISPVM) {
                if (!source || !source->default_dispvm)
                        return POLICY_MATCH_NO;
                base = policy_facts_lookup(query->facts, policy_atom_slice(source->default_dispvm));
        } else {
                return POLICY_MATCH_NO;
        }
        if (!base)
                return POLICY_MATCH_FAULT; /* note [R] of 4.5 */
        is_base = policy_match_fact(base->is_base);
        return is_base == POLICY_MATCH_YES ? policy_match_tag(tag, base) : is_base;
}

PolicyMatch policy_match_target(const PolicyRule *rule, const PolicyQuery *query) {
        const PolicyTarget *target = &query->target;
        const PolicyToken *token = &rule->target;
        const PolicyDomain *domain = target->kind == POLICY_TOKEN_NAME ? target->party.domain : NULL;

        switch (token->kind) {
        case POLICY_TOKEN_ANY:
                return POLICY_MATCH_YES;
        case POLICY_TOKEN_ANYVM:
                return policy_match_bool(!policy_target_is_dom0(target));
        case POLICY_TOKEN_ADMINVM:
                return policy_match_bool(policy_target_is_dom0(target));
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
                return policy_match_bool(target->kind == token->kind);
        case POLICY_TOKEN_TYPE:
                return policy_match_type(token->value, domain);
        case POLICY_TOKEN_TAG:
                return policy_match_tag(token->value, domain);
        case POLICY_TOKEN_DISPVM_BASE:
                return policy_match_base(token->value, query);
        case POLICY_TOKEN_DISPVM_TAG:
                return policy_match_base_tag(token->value, query);
        case POLICY_TOKEN_NAME:
                if (target->kind == POLICY_TOKEN_ADMINVM)
                        return policy_match_bool(policy_name_is_dom0(policy_atom_slice(token->value)));
                return policy_match_bool(target->kind == POLICY_TOKEN_NAME &&
                                         policy_match_names(token->value, &target->party));
        case POLICY_TOKEN_NONE:
                return POLICY_MATCH_NO;
        }
        return POLICY_MATCH_NO;
}

PolicyMatch policy_match(const PolicyRule *rule, const PolicyQuery *query) {
        PolicyMatch match;

        if (!policy_match_subject(rule, query))
                return POLICY_MATCH_NO;
        match = policy_match_source(rule, query);
        return match == POLICY_MATCH_YES ? policy_match_target(rule, query) : match;
}
