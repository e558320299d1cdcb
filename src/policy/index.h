/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rules can a request match? Each rule is in one list: of its service and argument, and of its source and target if
 * both are names; else of the more telling of the two, which is what the fewest other rules say. A request then looks at
 * the few lists that can concern it, in the order of the rules, and at no others.
 *
 * The index leaves out only rules that do not match, provided that the type and the tags of source and target are known.
 * Where they are not, a rule that is left out could have been a fault (specification, 5.9), and the index is of no use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/rule.h"

typedef enum PolicyListKind {
        POLICY_LIST_GENERAL,     /* nothing telling: any source and any target */
        POLICY_LIST_SOURCE_DOM0, /* dom0 in any of its spellings */
        POLICY_LIST_SOURCE_NAME,
        POLICY_LIST_SOURCE_TAG,
        POLICY_LIST_SOURCE_TYPE,
        POLICY_LIST_TARGET_DOM0,
        POLICY_LIST_TARGET_NAME,
        POLICY_LIST_TARGET_TAG,
        POLICY_LIST_TARGET_TYPE,
        POLICY_LIST_TARGET_DEFAULT,  /* `@default` */
        POLICY_LIST_TARGET_DISPVM,   /* `@dispvm` */
        POLICY_LIST_TARGET_BASE,     /* `@dispvm:NAME` */
        POLICY_LIST_TARGET_BASE_TAG, /* `@dispvm:@tag:NAME` */
        POLICY_LIST_PAIR,            /* source and target by name, neither is dom0 */
} PolicyListKind;

/** What a rule can say of one side, added to the side: POLICY_LIST_SOURCE_DOM0 or POLICY_LIST_TARGET_DOM0. */
enum {
        POLICY_LIST_OF_DOM0,
        POLICY_LIST_OF_NAME,
        POLICY_LIST_OF_TAG,
        POLICY_LIST_OF_TYPE,
};

typedef struct PolicyList {
        const PolicyAtom *service;  /* NULL: `*` */
        const PolicyAtom *argument; /* NULL: `*` */
        const PolicyAtom *name;     /* the name, tag or type; of a PAIR the source; NULL where the kind has none */
        const PolicyAtom *target;   /* of a PAIR; NULL: it is none */
        PolicyListKind kind;
        uint32_t kinds;   /* of a GENERAL list: BIT() of all kinds of lists with this service and argument */
        uint32_t first;   /* of PolicyIndex.rules */
        uint32_t n_rules; /* may be 0, of a GENERAL list */
} PolicyList;

/** What a list is looked up by, from any table. */
typedef struct PolicyKey {
        PolicySlice text;
        uint64_t hash;
} PolicyKey;

/** policy_key() - to look up an atom; lives as long as its table */
static inline PolicyKey policy_key(const PolicyAtom *atom) {
        return (PolicyKey){ policy_atom_slice(atom), atom->hash };
}

typedef struct PolicyIndexSlot {
        uint32_t hash;
        uint32_t list; /* of `lists`, from 1; 0: free */
} PolicyIndexSlot;

typedef struct PolicyIndex {
        PolicyIndexSlot *slots; /* open addressing */
        size_t n_slots;         /* a power of two, or 0 */
        PolicyList *lists;
        size_t n_lists;
        uint32_t *rules; /* numbers: those of a list are in one piece, ascending */
        uint32_t kinds;  /* BIT() of all kinds of lists */
        bool has_uuids;  /* some rule names a domain by `uuid:` */
} PolicyIndex;

#define POLICY_INDEX_INIT ((PolicyIndex){ 0 })

/** policy_index_deinit() - harmless on an empty index */
void policy_index_deinit(PolicyIndex *index);

/** policy_index_build() - fill an empty index. Return: 0 or a negative error */
int policy_index_build(PolicyIndex *index, const PolicyRule *rules, size_t n_rules);

/**
 * policy_index_lookup() - the list, or NULL: there are no such rules. Service and argument are of the rules' table
 * @key:    the name, tag or type; of a PAIR the source; NULL where the kind has none
 * @target: of a PAIR; NULL for all others
 *
 * If there is any list with this service and argument, there is the GENERAL one, whose `kinds` says which else.
 */
const PolicyList *policy_index_lookup(const PolicyIndex *index, const PolicyAtom *service, const PolicyAtom *argument,
                                      PolicyListKind kind, const PolicyKey *key, const PolicyKey *target);
