/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/find.h"

#include "base/cleanup.h"

/** Tags of a domain that the index is asked about; with more, all rules are looked at one by one. */
#define TAGS_MAX 32

/** Rules about `*`, about this service, and about this service and argument. */
#define GROUPS_MAX 3

/** What one side of a request can be looked up by: two names, tags, the type. */
#define KEYS_MAX (2 + TAGS_MAX + 1)

/** In each group: the general list; for source and target: dom0, and the keys; and pairs of names. */
#define LISTS_MAX (GROUPS_MAX * (1 + 2 * (1 + KEYS_MAX) + 2 * 2))

/** Not worth clearing at each decision, as all other variables are: only what was written is read. */
#define UNCLEARED __attribute__((__uninitialized__))

typedef struct PolicyCursor {
        const uint32_t *next;
        const uint32_t *end;
} PolicyCursor;

typedef struct PolicyMerge {
        const PolicyIndex *index;
        const PolicyList *groups[GROUPS_MAX]; /* general lists, by which a group is known */
        size_t n_groups;
        uint32_t kinds; /* BIT() of the kinds of lists that they have */
        PolicyCursor cursors[LISTS_MAX];
        size_t n;
} PolicyMerge;

static void policy_merge_add_list(PolicyMerge *merge, const PolicyList *list) {
        const uint32_t *rules = merge->index->rules + list->first;

        if (list->n_rules > 0)
                merge->cursors[merge->n++] = (PolicyCursor){ rules, rules + list->n_rules };
}

static void policy_merge_add_group(PolicyMerge *merge, const PolicyAtom *service, const PolicyAtom *argument) {
        const PolicyList *general =
                policy_index_lookup(merge->index, service, argument, POLICY_LIST_GENERAL, NULL, NULL);

        if (!general)
                return;
        merge->groups[merge->n_groups++] = general;
        merge->kinds |= general->kinds;
        policy_merge_add_list(merge, general);
}

/* The lists of one kind and key, of all groups; @target: of pairs alone. */
static void policy_merge_add(PolicyMerge *merge, PolicyListKind kind, const PolicyKey *key, const PolicyKey *target) {
        for (size_t i = 0; i < merge->n_groups; ++i) {
                const PolicyList *group = merge->groups[i], *list;

                if (!(group->kinds & BIT(kind)))
                        continue;
                list = policy_index_lookup(merge->index, group->service, group->argument, kind, key, target);
                if (list)
                        policy_merge_add_list(merge, list);
        }
}

static void policy_merge_add_atom(PolicyMerge *merge, PolicyListKind kind, const PolicyAtom *atom) {
        PolicyKey key;

        if (!atom)
                return;
        key = policy_key(atom);
        policy_merge_add(merge, kind, &key, NULL);
}

/** What a domain can be called in rules. */
typedef struct PolicyNameKeys {
        PolicyKey keys[2];
        size_t n;
} PolicyNameKeys;

static void policy_name_keys_add(PolicyNameKeys *keys, const PolicyIndex *index, PolicyKey key) {
        if (index->has_uuids || !policy_slice_begins(key.text, POLICY_SLICE(POLICY_UUID_PREFIX)))
                keys->keys[keys->n++] = key;
}

/* Its name as written, and its other name. */
static void policy_name_keys_init(PolicyNameKeys *keys, const PolicyIndex *index, const PolicyParty *party) {
        keys->n = 0;
        policy_name_keys_add(keys, index, (PolicyKey){ party->text, party->hash });
        if (party->alias)
                policy_name_keys_add(keys, index, policy_key(party->alias));
}

static void policy_merge_add_names(PolicyMerge *merge, PolicyListKind kind, const PolicyNameKeys *names) {
        for (size_t i = 0; i < names->n; ++i)
                policy_merge_add(merge, kind, &names->keys[i], NULL);
}

static void policy_merge_add_pairs(PolicyMerge *merge, const PolicyNameKeys *sources, const PolicyNameKeys *targets) {
        if (!(merge->kinds & BIT(POLICY_LIST_PAIR)))
                return;
        for (size_t i = 0; i < sources->n; ++i)
                for (size_t k = 0; k < targets->n; ++k)
                        policy_merge_add(merge, POLICY_LIST_PAIR, &sources->keys[i], &targets->keys[k]);
}

static void policy_merge_add_tags(PolicyMerge *merge, PolicyListKind kind, const PolicyDomain *domain) {
        if (!(merge->kinds & BIT(kind)))
                return;
        for (size_t i = 0; i < domain->n_tags; ++i)
                policy_merge_add_atom(merge, kind, domain->tags[i]);
}

/* The lists that a domain as source or target can be in; @side: POLICY_LIST_SOURCE_DOM0 or POLICY_LIST_TARGET_DOM0. */
static void policy_merge_add_party(PolicyMerge *merge, PolicyListKind side, const PolicyParty *party,
                                   const PolicyNameKeys *names) {
        if (party->is_dom0)
                policy_merge_add(merge, side + POLICY_LIST_OF_DOM0, NULL, NULL);
        policy_merge_add_names(merge, side + POLICY_LIST_OF_NAME, names);
        if (!party->domain)
                return;
        policy_merge_add_tags(merge, side + POLICY_LIST_OF_TAG, party->domain);
        policy_merge_add_atom(merge, side + POLICY_LIST_OF_TYPE, party->domain->type);
}

/* Return: of which base a disposable is asked for, or NULL */
static const PolicyDomain *policy_find_base(const PolicyQuery *query) {
        const PolicyDomain *source = query->source.domain;

        if (query->target.kind == POLICY_TOKEN_DISPVM_BASE)
                return query->target.party.domain;
        if (query->target.kind == POLICY_TOKEN_DISPVM && source && source->default_dispvm)
                return policy_facts_lookup(query->facts, policy_atom_slice(source->default_dispvm));
        return NULL;
}

static void policy_merge_add_target(PolicyMerge *merge, const PolicyQuery *query, const PolicyNameKeys *sources) {
        UNCLEARED PolicyNameKeys targets;
        const PolicyDomain *base = NULL;

        policy_name_keys_init(&targets, merge->index, &query->target.party);

        switch (query->target.kind) {
        case POLICY_TOKEN_NAME:
                policy_merge_add_party(merge, POLICY_LIST_TARGET_DOM0, &query->target.party, &targets);
                policy_merge_add_pairs(merge, sources, &targets);
                return;
        case POLICY_TOKEN_ADMINVM:
                policy_merge_add(merge, POLICY_LIST_TARGET_DOM0, NULL, NULL);
                return;
        case POLICY_TOKEN_DEFAULT:
                policy_merge_add(merge, POLICY_LIST_TARGET_DEFAULT, NULL, NULL);
                return;
        case POLICY_TOKEN_DISPVM:
                policy_merge_add(merge, POLICY_LIST_TARGET_DISPVM, NULL, NULL);
                if (query->source.domain)
                        policy_merge_add_atom(merge, POLICY_LIST_TARGET_BASE, query->source.domain->default_dispvm);
                break;
        case POLICY_TOKEN_DISPVM_BASE:
                policy_merge_add_names(merge, POLICY_LIST_TARGET_BASE, &targets);
                break;
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_ANY:
        case POLICY_TOKEN_ANYVM:
        case POLICY_TOKEN_TYPE:
        case POLICY_TOKEN_TAG:
        case POLICY_TOKEN_DISPVM_TAG:
                return;
        }
        if (merge->kinds & BIT(POLICY_LIST_TARGET_BASE_TAG))
                base = policy_find_base(query);
        if (base)
                policy_merge_add_tags(merge, POLICY_LIST_TARGET_BASE_TAG, base);
}

static void policy_merge_init(PolicyMerge *merge, const Policy *policy, const PolicyQuery *query) {
        UNCLEARED PolicyNameKeys sources;

        policy_name_keys_init(&sources, &policy->index, &query->source);
        merge->index = &policy->index;
        merge->n_groups = merge->n = 0;
        merge->kinds = 0;
        policy_merge_add_group(merge, NULL, NULL);
        if (query->service)
                policy_merge_add_group(merge, query->service, NULL);
        if (query->service && query->argument)
                policy_merge_add_group(merge, query->service, query->argument);
        policy_merge_add_party(merge, POLICY_LIST_SOURCE_DOM0, &query->source, &sources);
        policy_merge_add_target(merge, query, &sources);
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

/* The same of a disposable. Rules about bases are faults where the base is not known, whichever they name (4.5). */
static bool policy_base_is_indexed(const Policy *policy, const PolicyQuery *query) {
        const PolicyDomain *source = query->source.domain, *base;

        if (query->target.kind == POLICY_TOKEN_DISPVM && !(source && source->default_dispvm))
                return !(policy->index.kinds & BIT(POLICY_LIST_TARGET_BASE));
        if (!(policy->index.kinds & BIT(POLICY_LIST_TARGET_BASE_TAG)))
                return true;
        base = policy_find_base(query);
        return base && base->is_base != POLICY_FACT_UNKNOWN && base->has_tags && base->n_tags <= TAGS_MAX;
}

static bool policy_query_is_indexed(const Policy *policy, const PolicyQuery *query) {
        if (!policy_party_is_indexed(&query->source))
                return false;
        if (query->target.kind == POLICY_TOKEN_DISPVM || query->target.kind == POLICY_TOKEN_DISPVM_BASE)
                return policy_base_is_indexed(policy, query);
        return policy_party_is_indexed(&query->target.party);
}

static PolicyMatch policy_find_indexed(const Policy *policy, const PolicyQuery *query, const PolicyRule **ret_rule) {
        UNCLEARED PolicyMerge merge;
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
        if (policy_query_is_indexed(policy, query))
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
