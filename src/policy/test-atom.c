/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "policy/atom.h"

/** Enough to make the table grow several times. */
#define MANY 1000

static const PolicyAtom *intern(PolicyAtoms *atoms, PolicySlice text) {
        const PolicyAtom *atom = NULL;

        assert_int_equal(policy_atoms_intern(atoms, text, &atom), 0);
        return atom;
}

static void test_intern(void **state) {
        PolicyAtoms atoms = POLICY_ATOMS_INIT;
        const PolicyAtom *a = intern(&atoms, POLICY_SLICE("a"));

        assert_ptr_equal(intern(&atoms, POLICY_SLICE("a")), a);
        assert_ptr_not_equal(intern(&atoms, POLICY_SLICE("a\0")), a);
        assert_ptr_not_equal(intern(&atoms, POLICY_SLICE("")), a);
        assert_int_equal(atoms.n_atoms, 3);
        assert_string_equal(a->text, "a");
        assert_int_equal(intern(&atoms, POLICY_SLICE("a\0b"))->n, 3);
        policy_atoms_deinit(&atoms);
}

static void test_many(void **state) {
        PolicyAtoms atoms = POLICY_ATOMS_INIT;
        const PolicyAtom *made[MANY];
        char text[16];

        for (int i = 0; i < MANY; ++i) {
                snprintf(text, sizeof(text), "name-%d", i);
                made[i] = intern(&atoms, policy_slice(text));
        }
        for (int i = 0; i < MANY; ++i) {
                snprintf(text, sizeof(text), "name-%d", i);
                assert_ptr_equal(policy_atoms_lookup(&atoms, policy_slice(text), policy_hash(policy_slice(text))),
                                 made[i]);
        }
        assert_null(policy_atoms_lookup(&atoms, POLICY_SLICE("other"), policy_hash(POLICY_SLICE("other"))));
        policy_atoms_deinit(&atoms);
        assert_null(policy_atoms_lookup(&atoms, POLICY_SLICE("name-1"), policy_hash(POLICY_SLICE("name-1"))));
}

/* Equal across tables by text, and never by hash alone. */
static void test_equal(void **state) {
        PolicyAtoms atoms = POLICY_ATOMS_INIT, others = POLICY_ATOMS_INIT;
        const PolicyAtom *a = intern(&atoms, POLICY_SLICE("web"));

        assert_true(policy_atom_equal(a, intern(&others, POLICY_SLICE("web"))));
        assert_false(policy_atom_equal(a, intern(&others, POLICY_SLICE("mail"))));
        assert_false(policy_atom_is(a, POLICY_SLICE("mail"), a->hash));
        policy_atoms_deinit(&atoms);
        policy_atoms_deinit(&others);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_intern),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_equal),
        };

        return cmocka_run_group_tests_name("policy/atom", tests, NULL, NULL);
}
