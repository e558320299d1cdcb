/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rules can a request match? Each rule is in one list: of its service and argument, and of the most telling thing
 * that it says of its source or of its target, which is what the fewest other rules say. A request then looks at the few
 * lists that can concern it, in the order of the rules, and at no others.
 *
 * The index leaves out only rules that do not match, provided that the type and the tags of source and target are known.
 * Where they are not, a rule that is left out could have been a fault (specification, 5.9), and the index is of no use.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "policy/rule.h"

typedef enum PolicyListKind {
        POLICY_LIST_GENERAL,     /* nothing telling: any source, and any target, or one that depends on both */
        POLICY_LIST_SOURCE_DOM0, /* dom0 in any of its spellings */
        POLICY_LIST_SOURCE_NAME,
        POLICY_LIST_SOURCE_TAG,
        POLICY_LIST_SOURCE_TYPE,
        POLICY_LIST_TARGET_DOM0,
        POLICY_LIST_TARGET_NAME,
        POLICY_LIST_TARGET_TAG,
        POLICY_LIST_TARGET_TYPE,
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
        PolicyListKind kind;
        const PolicyAtom *name; /* the name, tag or type; NULL where the kind has none */
        uint32_t *rules;        /* numbers, ascending */
        size_t n_rules;
        size_t n_allocated;
        size_t n_candidates; /* rules that could be here; 0: the slot is free */
        uint32_t kinds;      /* of a GENERAL list: BIT() of all kinds of lists with this service and argument */
} PolicyList;

typedef struct PolicyIndex {
        PolicyList *lists; /* open addressing */
        size_t n_slots;    /* a power of two, or 0 */
        size_t n_lists;
} PolicyIndex;

#define POLICY_INDEX_INIT ((PolicyIndex){ 0 })

/** policy_index_deinit() - harmless on an empty index */
void policy_index_deinit(PolicyIndex *index);

/** policy_index_build() - fill an empty index. Return: 0 or a negative error */
int policy_index_build(PolicyIndex *index, const PolicyRule *rules, size_t n_rules);

/**
 * policy_index_lookup() - the list, which may have no rules, or NULL. Atoms are those of the rules' table
 *
 * If there is any list with this service and argument, there is the GENERAL one, whose `kinds` says which else.
 */
const PolicyList *policy_index_lookup(const PolicyIndex *index, const PolicyAtom *service, const PolicyAtom *argument,
                                      PolicyListKind kind, const PolicyAtom *name);
