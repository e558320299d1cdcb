/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "policy/facts.h"
#include "policy/test-house.h"

#define MANY 1000

static const PolicyDomain *lookup(const PolicyFacts *facts, const char *name) {
        return policy_facts_lookup(facts, policy_slice(name));
}

static void test_lookup(void **state) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();

        assert_non_null(facts);
        for (size_t i = 0; i < ARRAY_SIZE(house); ++i) {
                char uuid[64];

                assert_ptr_equal(lookup(facts, house[i].name), &facts->domains[i]);
                assert_int_equal(facts->domains[i].index, i);
                if (!house[i].uuid)
                        continue;
                snprintf(uuid, sizeof(uuid), "uuid:%s", house[i].uuid);
                assert_ptr_equal(lookup(facts, uuid), &facts->domains[i]);
                assert_null(lookup(facts, house[i].uuid));
        }
        assert_null(lookup(facts, ""));
        assert_null(lookup(facts, "ghost"));
        assert_null(lookup(facts, "uuid:"));
        assert_null(lookup(facts, "uuid:0000000A-0000-4000-8000-00000000000A")); /* case matters */
        assert_null(policy_facts_lookup(facts, POLICY_SLICE("web\0")));
}

static void test_members(void **state) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();
        const PolicyDomain *mail = lookup(facts, "mail"), *far = lookup(facts, "far"), *bare = lookup(facts, "bare");
        PolicyAtoms atoms = POLICY_ATOMS_INIT;
        const PolicyAtom *online, *absent, *type;

        assert_int_equal(policy_atoms_intern(&atoms, POLICY_SLICE("online"), &online), 0);
        assert_int_equal(policy_atoms_intern(&atoms, POLICY_SLICE("absent"), &absent), 0);
        assert_int_equal(policy_atoms_intern(&atoms, POLICY_SLICE("AppVM"), &type), 0);
        assert_int_equal(policy_domain_has_tag(mail, online), POLICY_FACT_YES);
        assert_int_equal(policy_domain_has_tag(mail, absent), POLICY_FACT_NO);
        assert_int_equal(policy_domain_has_tag(lookup(facts, "desk"), online), POLICY_FACT_NO);
        assert_int_equal(policy_domain_has_tag(lookup(facts, "vault"), online), POLICY_FACT_NO);
        assert_int_equal(policy_domain_has_tag(bare, online), POLICY_FACT_UNKNOWN);
        assert_int_equal(policy_domain_has_type(mail, type), POLICY_FACT_YES);
        assert_int_equal(policy_domain_has_type(far, type), POLICY_FACT_NO);
        assert_int_equal(policy_domain_has_type(bare, type), POLICY_FACT_UNKNOWN);
        assert_true(far->is_remote);
        assert_false(mail->is_remote);
        assert_false(bare->is_remote);
        assert_string_equal(far->relayvm->text, "relay");
        assert_string_equal(far->transport_rpc->text, "net.Carry");
        assert_null(mail->relayvm);
        assert_null(bare->uuid);
        policy_atoms_deinit(&atoms);
}

static void test_running(void **state) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();
        const PolicyDomain *vault = lookup(facts, "vault");

        assert_int_equal(vault->running, POLICY_FACT_NO);
        policy_facts_set_running(facts, vault->index, POLICY_FACT_YES);
        assert_int_equal(vault->running, POLICY_FACT_YES);
}

static void test_refuse(void **state) {
        static const struct {
                const char *name;
                PolicyDomainInput domains[2];
                int expect;
        } cases[] = {
                { "two names", { { .name = "a" }, { .name = "b" } }, 0 },
                { "the same name", { { .name = "a" }, { .name = "a" } }, POLICY_FACTS_E_DUPLICATE },
                { "the same uuid",
                  { { .name = "a", .uuid = "1" }, { .name = "b", .uuid = "1" } },
                  POLICY_FACTS_E_DUPLICATE },
                { "no name", { { .name = "a" }, {} }, POLICY_FACTS_E_NAME },
                { "an empty name", { { .name = "a" }, { .name = "" } }, POLICY_FACTS_E_NAME },
                { "a star", { { .name = "a" }, { .name = "*" } }, POLICY_FACTS_E_NAME },
                { "a keyword", { { .name = "a" }, { .name = "@dispvm" } }, POLICY_FACTS_E_NAME },
                { "another's uuid", { { .name = "a", .uuid = "1" }, { .name = "uuid:1" } }, POLICY_FACTS_E_NAME },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                PolicyFacts *facts = NULL;
                int r = policy_facts_new(cases[i].domains, 2, &facts);

                if (r != cases[i].expect)
                        fail_msg("%s: %d", cases[i].name, r);
                assert_true((facts != NULL) == (r == 0));
                policy_facts_unref(facts);
        }
}

static void test_none(void **state) {
        PolicyFacts *facts = NULL;

        assert_int_equal(policy_facts_new(NULL, 0, &facts), 0);
        assert_null(lookup(facts, "dom0"));
        assert_ptr_equal(policy_facts_ref(facts), facts);
        assert_null(policy_facts_unref(facts));
        assert_null(policy_facts_unref(facts));
        assert_null(policy_facts_unref(NULL));
}

static void test_many(void **state) {
        static char names[MANY][16], uuids[MANY][16];
        static PolicyDomainInput inputs[MANY];
        PolicyFacts *facts = NULL;
        char uuid[32];

        for (int i = 0; i < MANY; ++i) {
                snprintf(names[i], sizeof(names[i]), "name-%d", i);
                snprintf(uuids[i], sizeof(uuids[i]), "%d", i);
                inputs[i] = (PolicyDomainInput){ .name = names[i], .uuid = uuids[i] };
        }
        assert_int_equal(policy_facts_new(inputs, MANY, &facts), 0);
        for (int i = 0; i < MANY; ++i) {
                snprintf(uuid, sizeof(uuid), "uuid:%d", i);
                assert_ptr_equal(lookup(facts, names[i]), &facts->domains[i]);
                assert_ptr_equal(lookup(facts, uuid), &facts->domains[i]);
        }
        policy_facts_unref(facts);
}

static void test_dom0(void **state) {
        assert_true(policy_name_is_dom0(POLICY_SLICE("dom0")));
        assert_true(policy_name_is_dom0(POLICY_SLICE("uuid:00000000-0000-0000-0000-000000000000")));
        assert_false(policy_name_is_dom0(POLICY_SLICE("dom0\0")));
        assert_false(policy_name_is_dom0(POLICY_SLICE("Dom0")));
        assert_false(policy_name_is_dom0(POLICY_SLICE("00000000-0000-0000-0000-000000000000")));
        assert_false(policy_name_is_dom0(POLICY_SLICE("")));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lookup), cmocka_unit_test(test_members), cmocka_unit_test(test_running),
                cmocka_unit_test(test_refuse), cmocka_unit_test(test_none),    cmocka_unit_test(test_many),
                cmocka_unit_test(test_dom0),
        };

        return cmocka_run_group_tests_name("policy/facts", tests, NULL, NULL);
}
