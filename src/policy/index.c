/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "policy/facts.h"

#define INDEX_SLOTS_MIN 64

void policy_index_deinit(PolicyIndex *index) {
        free(index->slots);
        free(index->lists);
        free(index->rules);
        *index = POLICY_INDEX_INIT;
}

static uint64_t policy_index_mix(uint64_t hash, uint64_t more) {
        return (hash ^ more) * UINT64_C(0x9e3779b97f4a7c15);
}

/* @name, @target: their hashes; 0: there is none */
static uint32_t policy_index_hash(const PolicyAtom *service, const PolicyAtom *argument, PolicyListKind kind,
                                  uint64_t name, uint64_t target) {
        uint64_t hash = policy_index_mix(kind, service ? service->hash : 0);

        hash = policy_index_mix(hash, argument ? argument->hash : 0);
        hash = policy_index_mix(hash ^ hash >> 32, name);
        if (target != 0)
                hash = policy_index_mix(hash ^ hash >> 32, target);
        return (uint32_t)(hash >> 32);
}

static bool policy_key_is(const PolicyKey *key, const PolicyAtom *atom) {
        return key && atom ? policy_atom_is(atom, key->text, key->hash) : !key && !atom;
}

const PolicyList *policy_index_lookup(const PolicyIndex *index, const PolicyAtom *service, const PolicyAtom *argument,
                                      PolicyListKind kind, const PolicyKey *key, const PolicyKey *target) {
        uint32_t hash = policy_index_hash(service, argument, kind, key ? key->hash : 0, target ? target->hash : 0);

        for (size_t i = hash & (index->n_slots - 1); index->n_slots > 0; i = (i + 1) & (index->n_slots - 1)) {
                const PolicyIndexSlot *slot = &index->slots[i];
                const PolicyList *list;

                if (slot->list == 0)
                        return NULL;
                if (slot->hash != hash)
                        continue;
                list = &index->lists[slot->list - 1];
                if (list->service == service && list->argument == argument && list->kind == kind &&
                    policy_key_is(key, list->name) && policy_key_is(target, list->target))
                        return list;
        }
        return NULL;
}

/*
 * The lists that a rule could be in
 */

typedef struct PolicyCandidate {
        PolicyListKind kind;
        const PolicyAtom *name;
        const PolicyAtom *target;
} PolicyCandidate;

/* @side: POLICY_LIST_SOURCE_DOM0 or POLICY_LIST_TARGET_DOM0. Return: does the token say something telling? As a source
 * none of those about disposables comes here. */
static bool policy_candidate(PolicyToken token, PolicyListKind side, PolicyCandidate *ret_candidate) {
        *ret_candidate = (PolicyCandidate){ .kind = side + POLICY_LIST_OF_DOM0 };
        switch (token.kind) {
        case POLICY_TOKEN_ADMINVM:
                return true;
        case POLICY_TOKEN_NAME:
                if (policy_name_is_dom0(policy_atom_slice(token.value)))
                        return true;
                *ret_candidate = (PolicyCandidate){ .kind = side + POLICY_LIST_OF_NAME, .name = token.value };
                return true;
        case POLICY_TOKEN_TAG:
                *ret_candidate = (PolicyCandidate){ .kind = side + POLICY_LIST_OF_TAG, .name = token.value };
                return true;
        case POLICY_TOKEN_TYPE:
                *ret_candidate = (PolicyCandidate){ .kind = side + POLICY_LIST_OF_TYPE, .name = token.value };
                return true;
        case POLICY_TOKEN_DEFAULT:
                *ret_candidate = (PolicyCandidate){ .kind = POLICY_LIST_TARGET_DEFAULT };
                return true;
        case POLICY_TOKEN_DISPVM:
                *ret_candidate = (PolicyCandidate){ .kind = POLICY_LIST_TARGET_DISPVM };
                return true;
        case POLICY_TOKEN_DISPVM_BASE:
                *ret_candidate = (PolicyCandidate){ .kind = POLICY_LIST_TARGET_BASE, .name = token.value };
                return true;
        case POLICY_TOKEN_DISPVM_TAG:
                *ret_candidate = (PolicyCandidate){ .kind = POLICY_LIST_TARGET_BASE_TAG, .name = token.value };
                return true;
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_ANY:
        case POLICY_TOKEN_ANYVM:
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
        if (n == 2 && ret_candidates[0].kind == POLICY_LIST_SOURCE_NAME &&
            ret_candidates[1].kind == POLICY_LIST_TARGET_NAME) {
                ret_candidates[0] = (PolicyCandidate){ POLICY_LIST_PAIR, rule->source.value, rule->target.value };
                return 1;
        }
        return n;
}

/*
 * Building: every list that a rule could be in is counted, each rule goes to its shortest, and those that got rules, or
 * say which others there are, make the index
 */

/** A list that rules could be in. */
typedef struct PolicyDraft {
        PolicyList list;
        uint32_t n_candidates; /* rules that could be here */
} PolicyDraft;

/** Of one rule: the drafts that it could be in, and the general one of its service and argument. */
typedef struct PolicyPlaces {
        uint32_t drafts[2];
        uint32_t n; /* 0: it matches no call at all */
        uint32_t general;
} PolicyPlaces;

typedef struct PolicyBuilder {
        PolicyDraft *drafts;
        size_t n_drafts;
        PolicyIndexSlot *slots;
        size_t n_slots;
        PolicyPlaces *places; /* of each rule */
} PolicyBuilder;

static void policy_builder_deinit(PolicyBuilder *builder) {
        free(builder->drafts);
        free(builder->slots);
        free(builder->places);
}

/* Where an entry with this hash goes; there is room. */
static void policy_slots_add(PolicyIndexSlot *slots, size_t n_slots, uint32_t hash, uint32_t list) {
        size_t i = hash & (n_slots - 1);

        while (slots[i].list > 0)
                i = (i + 1) & (n_slots - 1);
        slots[i] = (PolicyIndexSlot){ hash, list };
}

static int policy_builder_grow(PolicyBuilder *builder) {
        size_t n_slots = builder->n_slots ? builder->n_slots * 2 : INDEX_SLOTS_MIN;
        PolicyDraft *drafts = reallocarray(builder->drafts, n_slots / 2, sizeof(*drafts));
        PolicyIndexSlot *slots;

        if (!drafts)
                return error_origin(-ENOMEM);
        builder->drafts = drafts;
        slots = calloc(n_slots, sizeof(*slots));
        if (!slots)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < builder->n_slots; ++i)
                if (builder->slots[i].list > 0)
                        policy_slots_add(slots, n_slots, builder->slots[i].hash, builder->slots[i].list);
        free(builder->slots);
        builder->slots = slots;
        builder->n_slots = n_slots;
        return 0;
}

static int policy_builder_find(PolicyBuilder *builder, const PolicyRule *rule, PolicyCandidate candidate,
                               uint32_t *ret_draft) {
        uint32_t hash = policy_index_hash(rule->service, rule->argument, candidate.kind,
                                          candidate.name ? candidate.name->hash : 0,
                                          candidate.target ? candidate.target->hash : 0);
        int r;

        for (size_t i = hash & (builder->n_slots - 1); builder->n_slots > 0; i = (i + 1) & (builder->n_slots - 1)) {
                const PolicyIndexSlot *slot = &builder->slots[i];
                const PolicyList *list;

                if (slot->list == 0)
                        break;
                list = &builder->drafts[slot->list - 1].list;
                if (slot->hash == hash && list->service == rule->service && list->argument == rule->argument &&
                    list->kind == candidate.kind && list->name == candidate.name && list->target == candidate.target) {
                        *ret_draft = slot->list - 1;
                        return 0;
                }
        }
        if (builder->n_drafts == builder->n_slots / 2) {
                r = policy_builder_grow(builder);
                if (r < 0)
                        return error_trace(r);
        }
        builder->drafts[builder->n_drafts] = (PolicyDraft){ .list = { .service = rule->service,
                                                                      .argument = rule->argument,
                                                                      .name = candidate.name,
                                                                      .target = candidate.target,
                                                                      .kind = candidate.kind } };
        *ret_draft = (uint32_t)builder->n_drafts++;
        policy_slots_add(builder->slots, builder->n_slots, hash, *ret_draft + 1);
        return 0;
}

static int policy_builder_count(PolicyBuilder *builder, const PolicyRule *rule, PolicyPlaces *places) {
        PolicyCandidate candidates[2], general = { .kind = POLICY_LIST_GENERAL };
        int r = 0;

        places->n = (uint32_t)policy_candidates(rule, candidates);
        if (places->n > 0)
                r = policy_builder_find(builder, rule, general, &places->general);
        for (size_t i = 0; i < places->n && r == 0; ++i) {
                r = policy_builder_find(builder, rule, candidates[i], &places->drafts[i]);
                if (r == 0)
                        ++builder->drafts[places->drafts[i]].n_candidates;
        }
        return r;
}

/* The first of the places is where the rule goes. */
static void policy_builder_place(PolicyBuilder *builder, PolicyPlaces *places) {
        PolicyDraft *drafts = builder->drafts;

        if (places->n == 0)
                return;
        if (places->n > 1 && drafts[places->drafts[1]].n_candidates < drafts[places->drafts[0]].n_candidates)
                places->drafts[0] = places->drafts[1];
        ++drafts[places->drafts[0]].list.n_rules;
        drafts[places->general].list.kinds |= BIT(drafts[places->drafts[0]].list.kind);
}

/* The drafts that are lists; a draft's n_candidates becomes the number of its rules that are in their place. */
static int policy_builder_finish(PolicyBuilder *builder, size_t n_rules, PolicyIndex *index) {
        uint32_t first = 0;

        index->n_slots = INDEX_SLOTS_MIN;
        for (size_t i = 0; i < builder->n_drafts; ++i)
                index->n_lists += builder->drafts[i].list.n_rules > 0 || builder->drafts[i].list.kinds > 0;
        while (index->n_slots / 2 < index->n_lists)
                index->n_slots *= 2;
        index->slots = calloc(index->n_slots, sizeof(*index->slots));
        index->lists = calloc(index->n_lists ?: 1, sizeof(*index->lists));
        index->rules = calloc(n_rules ?: 1, sizeof(*index->rules));
        if (!index->slots || !index->lists || !index->rules)
                return error_origin(-ENOMEM);

        index->n_lists = 0;
        for (size_t i = 0; i < builder->n_drafts; ++i) {
                PolicyList *list = &builder->drafts[i].list;

                if (list->n_rules == 0 && list->kinds == 0)
                        continue;
                builder->drafts[i].n_candidates = 0;
                list->first = first;
                first += list->n_rules;
                index->kinds |= list->kinds;
                index->lists[index->n_lists++] = *list;
                policy_slots_add(index->slots, index->n_slots,
                                 policy_index_hash(list->service, list->argument, list->kind,
                                                   list->name ? list->name->hash : 0,
                                                   list->target ? list->target->hash : 0),
                                 (uint32_t)index->n_lists);
        }
        for (size_t i = 0; i < n_rules; ++i) {
                PolicyDraft *draft;

                if (builder->places[i].n == 0)
                        continue;
                draft = &builder->drafts[builder->places[i].drafts[0]];
                index->rules[draft->list.first + draft->n_candidates++] = (uint32_t)i;
        }
        return 0;
}

static bool policy_token_is_uuid(const PolicyToken *token) {
        return token->value && policy_slice_begins(policy_atom_slice(token->value), POLICY_SLICE(POLICY_UUID_PREFIX));
}

int policy_index_build(PolicyIndex *index, const PolicyRule *rules, size_t n_rules) {
        _cleanup_(policy_builder_deinit) PolicyBuilder builder = {};
        int r = 0;

        if (n_rules == 0)
                return 0;
        builder.places = calloc(n_rules, sizeof(*builder.places));
        if (!builder.places)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n_rules && r == 0; ++i)
                r = policy_builder_count(&builder, &rules[i], &builder.places[i]);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_rules; ++i) {
                policy_builder_place(&builder, &builder.places[i]);
                index->has_uuids = index->has_uuids || policy_token_is_uuid(&rules[i].source) ||
                                   policy_token_is_uuid(&rules[i].target);
        }
        return error_trace(policy_builder_finish(&builder, n_rules, index));
}
