/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/atom.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

#define ATOMS_SLOTS_MIN 64

void policy_atoms_deinit(PolicyAtoms *atoms) {
        for (size_t i = 0; i < atoms->n_slots; ++i)
                free(atoms->slots[i].atom);
        free(atoms->slots);
        *atoms = POLICY_ATOMS_INIT;
}

uint64_t policy_hash(PolicySlice text) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < text.n; ++i)
                hash = (hash ^ (uint8_t)text.text[i]) * UINT64_C(0x100000001b3);
        return hash;
}

/* The slot of @text, or the free one where it belongs. There always is a free one: the table is at most half full. */
static PolicyAtomsSlot *policy_atoms_slot(const PolicyAtoms *atoms, PolicySlice text, uint64_t hash) {
        size_t i = hash & (atoms->n_slots - 1);

        while (atoms->slots[i].atom &&
               !(atoms->slots[i].hash == hash && policy_slice_equal(policy_atom_slice(atoms->slots[i].atom), text)))
                i = (i + 1) & (atoms->n_slots - 1);
        return &atoms->slots[i];
}

static int policy_atoms_grow(PolicyAtoms *atoms) {
        PolicyAtoms larger = { .n_slots = atoms->n_slots ? atoms->n_slots * 2 : ATOMS_SLOTS_MIN,
                               .n_atoms = atoms->n_atoms };

        larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
        if (!larger.slots)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < atoms->n_slots; ++i) {
                size_t k = atoms->slots[i].hash & (larger.n_slots - 1);

                if (!atoms->slots[i].atom)
                        continue;
                while (larger.slots[k].atom) /* no two texts are the same */
                        k = (k + 1) & (larger.n_slots - 1);
                larger.slots[k] = atoms->slots[i];
        }
        free(atoms->slots);
        *atoms = larger;
        return 0;
}

int policy_atoms_intern(PolicyAtoms *atoms, PolicySlice text, const PolicyAtom **ret_atom) {
        uint64_t hash = policy_hash(text);
        PolicyAtomsSlot *slot;
        PolicyAtom *atom;
        int r;

        if ((atoms->n_atoms + 1) * 2 > atoms->n_slots) {
                r = policy_atoms_grow(atoms);
                if (r < 0)
                        return error_trace(r);
        }
        slot = policy_atoms_slot(atoms, text, hash);
        if (!slot->atom) {
                atom = malloc(sizeof(*atom) + text.n + 1);
                if (!atom)
                        return error_origin(-ENOMEM);
                atom->hash = hash;
                atom->n = text.n;
                if (text.n > 0)
                        memcpy(atom->text, text.text, text.n);
                atom->text[text.n] = '\0';
                *slot = (PolicyAtomsSlot){ hash, atom };
                ++atoms->n_atoms;
        }
        *ret_atom = slot->atom;
        return 0;
}

const PolicyAtom *policy_atoms_lookup(const PolicyAtoms *atoms, PolicySlice text, uint64_t hash) {
        return atoms->n_slots > 0 ? policy_atoms_slot(atoms, text, hash)->atom : NULL;
}
