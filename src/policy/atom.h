/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interned text: within one table equal texts are one atom, so comparing pointers compares texts. Atoms of different
 * tables are compared with policy_atom_equal(), which looks at the text only when the hashes are the same.
 *
 * The tables are filled from the administrator's files alone; callers only ever look things up. So nobody who could
 * profit from collisions chooses what is in a table, and a plain hash (FNV-1a) serves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/slice.h"

typedef struct PolicyAtom {
        uint64_t hash;
        size_t n;
        char text[]; /* NUL-terminated; NUL bytes may also occur inside */
} PolicyAtom;

/** The hash is beside the atom, so that what is not meant costs no look at it. */
typedef struct PolicyAtomsSlot {
        uint64_t hash;
        PolicyAtom *atom; /* NULL: free */
} PolicyAtomsSlot;

typedef struct PolicyAtoms {
        PolicyAtomsSlot *slots; /* open addressing */
        size_t n_slots;         /* a power of two, or 0 */
        size_t n_atoms;
} PolicyAtoms;

#define POLICY_ATOMS_INIT ((PolicyAtoms){ 0 })

/** policy_atoms_deinit() - free the table and all of its atoms; harmless on an empty one */
void policy_atoms_deinit(PolicyAtoms *atoms);

/** policy_hash() - the hash of a text, for the functions below */
uint64_t policy_hash(PolicySlice text);

/** policy_atoms_intern() - the atom of @text, made if needed; lives as long as the table. Return: 0 or a negative error */
int policy_atoms_intern(PolicyAtoms *atoms, PolicySlice text, const PolicyAtom **ret_atom);

/** policy_atoms_lookup() - the atom of @text, whose policy_hash() is @hash, or NULL */
const PolicyAtom *policy_atoms_lookup(const PolicyAtoms *atoms, PolicySlice text, uint64_t hash);

/** policy_atom_slice() - its text; lives as long as the table */
static inline PolicySlice policy_atom_slice(const PolicyAtom *atom) {
        return (PolicySlice){ atom->text, atom->n };
}

/** policy_atom_is() - is @text, whose policy_hash() is @hash, the atom's text? */
static inline bool policy_atom_is(const PolicyAtom *atom, PolicySlice text, uint64_t hash) {
        return atom->hash == hash && policy_slice_equal(policy_atom_slice(atom), text);
}

/** policy_atom_equal() - the same text, possibly from different tables? */
static inline bool policy_atom_equal(const PolicyAtom *a, const PolicyAtom *b) {
        return a == b || policy_atom_is(a, policy_atom_slice(b), b->hash);
}
