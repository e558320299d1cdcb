/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "policy/facts.h"

#define INDEX_SLOTS_MIN 64
#define LIST_RULES_MIN  1

void policy_index_deinit(PolicyIndex *index) {
        for (size_t i = 0; i < index->n_slots; ++i)
                free(index->lists[i].rules);
        free(index->lists);
        *index = POLICY_INDEX_INIT;
}

static uint64_t policy_index_mix(uint64_t hash, const PolicyAtom *atom) {
        return (hash ^ (atom ? atom->hash : 0)) * UINT64_C(0x9e3779b97f4a7c15);
}

static PolicyList *policy_index_slot(const PolicyIndex *index, const PolicyAtom *service, const PolicyAtom *argument,
                                     PolicyListKind kind, const PolicyAtom *name) {
        uint64_t hash = policy_index_mix(policy_index_mix(policy_index_mix(kind, service), argument), name);
        size_t i = (hash ^ hash >> 32) & (index->n_slots - 1);

        for (;; i = (i + 1) & (index->n_slots - 1)) {
                PolicyList *list = &index->lists[i];

                if (list->n_candidates == 0 || (list->service == service && list->argument == argument &&
                                                list->kind == kind && list->name == name))
                        return list;
        }
}

const PolicyList *policy_index_lookup(const PolicyIndex *index, const PolicyAtom *service, const PolicyAtom *argument,
                                      PolicyListKind kind, const PolicyAtom *name) {
        const PolicyList *list;

        if (index->n_slots == 0)
                return NULL;
        list = policy_index_slot(index, service, argument, kind, name);
        return list->n_candidates > 0 ? list : NULL;
}

static int policy_index_grow(PolicyIndex *index) {
        PolicyIndex larger = { .n_slots = index->n_slots ? index->n_slots * 2 : INDEX_SLOTS_MIN,
                               .n_lists = index->n_lists };

        larger.lists = calloc(larger.n_slots, sizeof(*larger.lists));
        if (!larger.lists)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < index->n_slots; ++i) {
                const PolicyList *list = &index->lists[i];

                if (list->n_candidates > 0)
                        *policy_index_slot(&larger, list->service, list->argument, list->kind, list->name) = *list;
        }
        free(index->lists);
        *index = larger;
        return 0;
}

/*
 * The lists that a rule could be in
 */

typedef struct PolicyCandidate {
        PolicyListKind kind;
        const PolicyAtom *name;
} PolicyCandidate;

/* @side: POLICY_LIST_SOURCE_DOM0 or POLICY_LIST_TARGET_DOM0. Return: does the token say something telling? */
static bool policy_candidate(PolicyToken token, PolicyListKind side, PolicyCandidate *ret_candidate) {
        *ret_candidate = (PolicyCandidate){ .kind = side + POLICY_LIST_OF_DOM0 };
        switch (token.kind) {
        case POLICY_TOKEN_ADMINVM:
                return true;
        case POLICY_TOKEN_NAME:
                if (policy_name_is_dom0(policy_atom_slice(token.value)))
                        return true;
                *ret_candidate = (PolicyCandidate){ side + POLICY_LIST_OF_NAME, token.value };
                return true;
        case POLICY_TOKEN_TAG:
                *ret_candidate = (PolicyCandidate){ side + POLICY_LIST_OF_TAG, token.value };
                return true;
        case POLICY_TOKEN_TYPE:
                *ret_candidate = (PolicyCandidate){ side + POLICY_LIST_OF_TYPE, token.value };
                return true;
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_ANY:
        case POLICY_TOKEN_ANYVM:
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
        case POLICY_TOKEN_DISPVM_BASE:
        case POLICY_TOKEN_DISPVM_TAG:
                return false;
        }
        return false;
}

static size_t policy_candidates(const PolicyRule *rule, PolicyCandidate ret_candidates[static 2]) {
        size_t n = 0;

        if (rule->source.kind == POLICY_TOKEN_DISPVM_BASE || rule->source.kind == POLICY_TOKEN_DISPVM_TAG)
                return 0; /* matches no caller (specification, 4.3) */
        if (policy_candidate(rule->source, POLICY_LIST_SOURCE_DOM0, &ret_candidates[n]))
                ++n;
        if (policy_candidate(rule->target, POLICY_LIST_TARGET_DOM0, &ret_candidates[n]))
                ++n;
        if (n == 0)
                ret_candidates[n++] = (PolicyCandidate){ .kind = POLICY_LIST_GENERAL };
        return n;
}

/*
 * Building: first every list that a rule could be in is counted, then each rule goes to its shortest
 */

static int policy_index_count(PolicyIndex *index, const PolicyRule *rule, PolicyCandidate candidate) {
        PolicyList *list;
        int r;

        if ((index->n_lists + 1) * 2 > index->n_slots) {
                r = policy_index_grow(index);
                if (r < 0)
                        return error_trace(r);
        }
        list = policy_index_slot(index, rule->service, rule->argument, candidate.kind, candidate.name);
        if (list->n_candidates++ == 0) {
                list->service = rule->service;
                list->argument = rule->argument;
                list->kind = candidate.kind;
                list->name = candidate.name;
                ++index->n_lists;
        }
        return 0;
}

static int policy_list_append(PolicyList *list, uint32_t number) {
        if (list->n_rules == list->n_allocated) {
                size_t n = list->n_allocated ? list->n_allocated * 2 : LIST_RULES_MIN;
                uint32_t *larger = reallocarray(list->rules, n, sizeof(*larger));

                if (!larger)
                        return error_origin(-ENOMEM);
                list->rules = larger;
                list->n_allocated = n;
        }
        list->rules[list->n_rules++] = number;
        return 0;
}

static int policy_index_place(PolicyIndex *index, const PolicyRule *rule, uint32_t number) {
        PolicyCandidate candidates[2];
        size_t n = policy_candidates(rule, candidates);
        PolicyList *shortest = NULL, *general;

        if (n == 0)
                return 0;
        for (size_t i = 0; i < n; ++i) {
                PolicyList *list =
                        policy_index_slot(index, rule->service, rule->argument, candidates[i].kind, candidates[i].name);

                if (!shortest || list->n_candidates < shortest->n_candidates)
                        shortest = list;
        }
        general = policy_index_slot(index, rule->service, rule->argument, POLICY_LIST_GENERAL, NULL);
        general->kinds |= BIT(shortest->kind);
        return policy_list_append(shortest, number);
}

int policy_index_build(PolicyIndex *index, const PolicyRule *rules, size_t n_rules) {
        PolicyCandidate general = { .kind = POLICY_LIST_GENERAL };
        int r;

        for (size_t i = 0; i < n_rules; ++i) {
                PolicyCandidate candidates[2];
                size_t n = policy_candidates(&rules[i], candidates);

                r = n > 0 ? policy_index_count(index, &rules[i], general) : 0;
                for (size_t k = 0; k < n && r == 0; ++k)
                        r = policy_index_count(index, &rules[i], candidates[k]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < n_rules; ++i) {
                r = policy_index_place(index, &rules[i], (uint32_t)i);
                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}
