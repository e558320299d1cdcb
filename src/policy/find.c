/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/find.h"

#include "base/cleanup.h"

/** Tags of a domain that the index is asked about; with more, all rules are looked at one by one. */
#define TAGS_MAX 32

/** Rules about `*`, about this service, and about this service and argument. */
#define GROUPS_MAX 3

/** In each group: the general list; for source and target: dom0, two names, tags, the type. */
#define LISTS_MAX (GROUPS_MAX * (1 + 2 * (1 + 2 + TAGS_MAX + 1)))

/** What the index knows of a party: the policy's atoms of its names, tags and type. */
typedef struct PolicyKeys {
        bool is_dom0;
        const PolicyAtom *names[2];
        const PolicyAtom *tags[TAGS_MAX];
        const PolicyAtom *types[1];
        size_t n_names, n_tags, n_types;
} PolicyKeys;

typedef struct PolicyCursor {
        const uint32_t *next;
        const uint32_t *end;
} PolicyCursor;

typedef struct PolicyMerge {
        const PolicyIndex *index;
        PolicyCursor cursors[LISTS_MAX];
        size_t n;
} PolicyMerge;

/* Adds the policy's atom of a text; one that the policy does not have is in no rule. */
static void policy_keys_add(const Policy *policy, PolicySlice text, uint64_t hash, const PolicyAtom **atoms,
                            size_t *n_atoms) {
        const PolicyAtom *atom = policy_atoms_lookup(&policy->atoms, text, hash);

        if (atom)
                atoms[(*n_atoms)++] = atom;
}

static void policy_keys_add_atom(const Policy *policy, const PolicyAtom *other, const PolicyAtom **atoms,
                                 size_t *n_atoms) {
        if (other)
                policy_keys_add(policy, policy_atom_slice(other), other->hash, atoms, n_atoms);
}

/* @kinds: BIT() of the lists that there are; @side: source or target. What there is no list of is not looked up. */
static void policy_keys_init(PolicyKeys *keys, const Policy *policy, const PolicyParty *party, PolicyListKind side,
                             uint32_t kinds) {
        keys->is_dom0 = party->is_dom0;
        keys->n_names = keys->n_tags = keys->n_types = 0;
        if (kinds & BIT(side + POLICY_LIST_OF_NAME)) {
                policy_keys_add(policy, party->text, party->hash, keys->names, &keys->n_names);
                policy_keys_add_atom(policy, party->alias, keys->names, &keys->n_names);
        }
        if (!party->domain)
                return;
        if (kinds & BIT(side + POLICY_LIST_OF_TAG))
                for (size_t i = 0; i < party->domain->n_tags; ++i)
                        policy_keys_add_atom(policy, party->domain->tags[i], keys->tags, &keys->n_tags);
        if (kinds & BIT(side + POLICY_LIST_OF_TYPE))
                policy_keys_add_atom(policy, party->domain->type, keys->types, &keys->n_types);
}

static void policy_merge_add(PolicyMerge *merge, const PolicyList *list) {
        if (list && list->n_rules > 0)
                merge->cursors[merge->n++] = (PolicyCursor){ list->rules, list->rules + list->n_rules };
}

/* The list of one kind and name in a group, which is known by its general list. */
static void policy_merge_add_named(PolicyMerge *merge, const PolicyList *group, PolicyListKind kind,
                                   const PolicyAtom *name) {
        policy_merge_add(merge, policy_index_lookup(merge->index, group->service, group->argument, kind, name));
}

static void policy_merge_add_all(PolicyMerge *merge, const PolicyList *group, PolicyListKind kind,
                                 const PolicyAtom *const *names, size_t n_names) {
        if (!(group->kinds & BIT(kind)))
                return;
        for (size_t i = 0; i < n_names; ++i)
                policy_merge_add_named(merge, group, kind, names[i]);
}

/* The lists of one group that a party can be in; @side: as above. */
static void policy_merge_add_party(PolicyMerge *merge, const PolicyList *group, PolicyListKind side,
                                   const PolicyKeys *keys) {
        if (keys->is_dom0)
                policy_merge_add_named(merge, group, side + POLICY_LIST_OF_DOM0, NULL);
        policy_merge_add_all(merge, group, side + POLICY_LIST_OF_NAME, keys->names, keys->n_names);
        policy_merge_add_all(merge, group, side + POLICY_LIST_OF_TAG, keys->tags, keys->n_tags);
        policy_merge_add_all(merge, group, side + POLICY_LIST_OF_TYPE, keys->types, keys->n_types);
}

static const PolicyList *policy_find_group(const Policy *policy, const PolicyAtom *service,
                                           const PolicyAtom *argument) {
        return policy_index_lookup(&policy->index, service, argument, POLICY_LIST_GENERAL, NULL);
}

static void policy_merge_init(PolicyMerge *merge, const Policy *policy, const PolicyQuery *query) {
        const PolicyList *groups[GROUPS_MAX];
        PolicyParty target = query->target.party;
        PolicyKeys source_keys, target_keys;
        uint32_t kinds = 0;

        merge->index = &policy->index;
        merge->n = 0;
        groups[0] = policy_find_group(policy, NULL, NULL);
        groups[1] = query->service ? policy_find_group(policy, query->service, NULL) : NULL;
        groups[2] =
                query->service && query->argument ? policy_find_group(policy, query->service, query->argument) : NULL;
        for (size_t i = 0; i < ARRAY_SIZE(groups); ++i)
                kinds |= groups[i] ? groups[i]->kinds : 0;

        policy_keys_init(&source_keys, policy, &query->source, POLICY_LIST_SOURCE_DOM0, kinds);
        if (query->target.kind != POLICY_TOKEN_NAME) /* a base has its own rules, none of which these lists have */
                target = (PolicyParty){ .is_dom0 = policy_target_is_dom0(&query->target) };
        policy_keys_init(&target_keys, policy, &target, POLICY_LIST_TARGET_DOM0,
                         query->target.kind == POLICY_TOKEN_NAME ? kinds : 0);

        for (size_t i = 0; i < ARRAY_SIZE(groups); ++i) {
                if (!groups[i])
                        continue;
                policy_merge_add(merge, groups[i]);
                policy_merge_add_party(merge, groups[i], POLICY_LIST_SOURCE_DOM0, &source_keys);
                policy_merge_add_party(merge, groups[i], POLICY_LIST_TARGET_DOM0, &target_keys);
        }
}

static bool policy_merge_next(PolicyMerge *merge, uint32_t *ret_number) {
        size_t first = 0;

        if (merge->n == 0)
                return false;
        for (size_t i = 1; i < merge->n; ++i)
                if (*merge->cursors[i].next < *merge->cursors[first].next)
                        first = i;
        *ret_number = *merge->cursors[first].next++;
        if (merge->cursors[first].next == merge->cursors[first].end)
                merge->cursors[first] = merge->cursors[--merge->n];
        return true;
}

/* Is all known that makes the index tell the truth, and little enough? */
static bool policy_party_is_indexed(const PolicyParty *party) {
        return !party->domain || (party->domain->type && party->domain->has_tags && party->domain->n_tags <= TAGS_MAX);
}

static PolicyMatch policy_find_indexed(const Policy *policy, const PolicyQuery *query, const PolicyRule **ret_rule) {
        PolicyMerge merge;
        uint32_t number;

        policy_merge_init(&merge, policy, query);
        while (policy_merge_next(&merge, &number)) {
                PolicyMatch match = policy_match(&policy->rules[number], query);

                if (match == POLICY_MATCH_NO)
                        continue;
                *ret_rule = &policy->rules[number];
                return match;
        }
        return POLICY_MATCH_NO;
}

PolicyMatch policy_find(const Policy *policy, const PolicyQuery *query, const PolicyRule **ret_rule) {
        if (policy_party_is_indexed(&query->source) && policy_party_is_indexed(&query->target.party))
                return policy_find_indexed(policy, query, ret_rule);

        for (size_t i = 0; i < policy->n_rules; ++i) {
                PolicyMatch match = policy_match(&policy->rules[i], query);

                if (match == POLICY_MATCH_NO)
                        continue;
                *ret_rule = &policy->rules[i];
                return match;
        }
        return POLICY_MATCH_NO;
}
