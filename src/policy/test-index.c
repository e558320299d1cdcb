/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/policy.h"

/** Enough lists to make the table grow several times. */
#define MANY 2000

static Policy *parse(PolicySlice text) {
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Policy *policy = NULL;

        assert_int_equal(policy_parse("t", text, &diagnostics, &policy), 0);
        return policy;
}

static const PolicyAtom *atom(const Policy *policy, const char *text) {
        return policy_atoms_lookup(&policy->atoms, policy_slice(text), policy_hash(policy_slice(text)));
}

/* The numbers of a list's rules. */
static void check(const Policy *policy, const char *service, const char *argument, PolicyListKind kind,
                  const char *name, const char *expect) {
        PolicyKey key = { policy_slice(name), policy_hash(policy_slice(name)) };
        const PolicyList *list =
                policy_index_lookup(&policy->index, service ? atom(policy, service) : NULL,
                                    argument ? atom(policy, argument) : NULL, kind, name ? &key : NULL, NULL);
        char got[64] = "";
        size_t n = 0;

        for (size_t i = 0; list && i < list->n_rules; ++i)
                n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%u", i > 0 ? " " : "",
                                      policy->index.rules[list->first + i]);
        assert_string_equal(got, expect);
}

static uint32_t kinds(const Policy *policy, const char *service, const char *argument) {
        const PolicyList *list =
                policy_index_lookup(&policy->index, service ? atom(policy, service) : NULL,
                                    argument ? atom(policy, argument) : NULL, POLICY_LIST_GENERAL, NULL, NULL);

        return list ? list->kinds : 0;
}

/* Each rule is in one list, and there is one for each thing that a rule can say. */
static void test_kinds(void **state) {
        _cleanup_(policy_unrefp) Policy *policy = parse(POLICY_SLICE("s.Go * @anyvm @default deny\n"  /* 0 */
                                                                     "s.Go * dom0 * deny\n"           /* 1 */
                                                                     "s.Go * @adminvm * deny\n"       /* 2 */
                                                                     "s.Go * desk * deny\n"           /* 3 */
                                                                     "s.Go * @tag:t * deny\n"         /* 4 */
                                                                     "s.Go * @type:T * deny\n"        /* 5 */
                                                                     "s.Go * * dom0 deny\n"           /* 6 */
                                                                     "s.Go * * @adminvm deny\n"       /* 7 */
                                                                     "s.Go * * web deny\n"            /* 8 */
                                                                     "s.Go * * @tag:t deny\n"         /* 9 */
                                                                     "s.Go * * @type:T deny\n"        /* 10 */
                                                                     "s.Go * @dispvm:x * deny\n"      /* 11: nobody */
                                                                     "s.Go +x desk * deny\n"          /* 12 */
                                                                     "* * desk * deny\n"              /* 13 */
                                                                     "s.Go * * @dispvm:x deny\n"      /* 14 */
                                                                     "s.Go * * @dispvm deny\n"        /* 15 */
                                                                     "s.Go * * @dispvm:@tag:t deny\n" /* 16 */
                                                                     "s.Go * @anyvm @anyvm deny\n" /* 17 */));

        check(policy, "s.Go", NULL, POLICY_LIST_GENERAL, NULL, "17");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_DEFAULT, NULL, "0");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_DISPVM, NULL, "15");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_BASE, "x", "14");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_BASE_TAG, "t", "16");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_BASE_TAG, "x", "");
        check(policy, "s.Go", NULL, POLICY_LIST_SOURCE_DOM0, NULL, "1 2");
        check(policy, "s.Go", NULL, POLICY_LIST_SOURCE_NAME, "desk", "3");
        check(policy, "s.Go", NULL, POLICY_LIST_SOURCE_TAG, "t", "4");
        check(policy, "s.Go", NULL, POLICY_LIST_SOURCE_TYPE, "T", "5");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_DOM0, NULL, "6 7");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_NAME, "web", "8");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_TAG, "t", "9");
        check(policy, "s.Go", NULL, POLICY_LIST_TARGET_TYPE, "T", "10");
        check(policy, "s.Go", "+x", POLICY_LIST_SOURCE_NAME, "desk", "12");
        check(policy, NULL, NULL, POLICY_LIST_SOURCE_NAME, "desk", "13");
        assert_int_equal(kinds(policy, "s.Go", NULL), 0x1fff);
        assert_int_equal(kinds(policy, "s.Go", "+x"), BIT(POLICY_LIST_SOURCE_NAME));
        assert_int_equal(kinds(policy, NULL, NULL), BIT(POLICY_LIST_SOURCE_NAME));
        assert_int_equal(kinds(policy, "desk", NULL), 0);
}

/* Of what a rule says of source and target, the rarer counts. */
static void test_rarest(void **state) {
        _cleanup_(policy_unrefp) Policy *policy = parse(POLICY_SLICE("* * desk @tag:a deny\n" /* 0 */
                                                                     "* * desk @tag:b deny\n" /* 1 */
                                                                     "* * desk @tag:b deny\n" /* 2 */
                                                                     "* * mail @tag:b deny\n" /* 3 */));

        check(policy, NULL, NULL, POLICY_LIST_TARGET_TAG, "a", "0");
        check(policy, NULL, NULL, POLICY_LIST_SOURCE_NAME, "desk", "1 2");
        check(policy, NULL, NULL, POLICY_LIST_SOURCE_NAME, "mail", "3");
        check(policy, NULL, NULL, POLICY_LIST_TARGET_TAG, "b", "");
        check(policy, NULL, NULL, POLICY_LIST_GENERAL, NULL, "");
}

static const PolicyList *pair(const Policy *policy, const char *source, const char *target) {
        const PolicyKey keys[] = { { policy_slice(source), policy_hash(policy_slice(source)) },
                                   { policy_slice(target), policy_hash(policy_slice(target)) } };

        return policy_index_lookup(&policy->index, NULL, NULL, POLICY_LIST_PAIR, &keys[0], &keys[1]);
}

/* Two names go together, in this order; dom0 is not one that could be looked up by its name. */
static void test_pairs(void **state) {
        _cleanup_(policy_unrefp) Policy *policy = parse(POLICY_SLICE("* * a b deny\n"  /* 0 */
                                                                     "* * b a deny\n"  /* 1 */
                                                                     "* * a b allow\n" /* 2 */
                                                                     "* * a dom0 deny\n" /* 3 */));
        _cleanup_(policy_unrefp) Policy *with_uuid = parse(POLICY_SLICE("* * a uuid:b deny\n"));

        assert_int_equal(pair(policy, "a", "b")->n_rules, 2);
        assert_int_equal(pair(policy, "b", "a")->n_rules, 1);
        assert_int_equal(policy->index.rules[pair(policy, "b", "a")->first], 1);
        assert_null(pair(policy, "a", "a"));
        assert_null(pair(policy, "a", "dom0"));
        check(policy, NULL, NULL, POLICY_LIST_SOURCE_NAME, "b", "");
        assert_int_equal(kinds(policy, NULL, NULL) & BIT(POLICY_LIST_PAIR), BIT(POLICY_LIST_PAIR));
        assert_false(policy->index.has_uuids);
        assert_non_null(pair(with_uuid, "a", "uuid:b"));
        assert_true(with_uuid->index.has_uuids);
}

static void test_many(void **state) {
        char *text = NULL;
        size_t n_text = 0;
        FILE *stream = open_memstream(&text, &n_text);
        Policy *policy;

        assert_non_null(stream);
        for (int i = 0; i < MANY; ++i)
                fprintf(stream, "s.Go * d%d * allow\n", i);
        assert_int_equal(fclose(stream), 0);
        policy = parse((PolicySlice){ text, n_text });
        for (int i = 0; i < MANY; ++i) {
                char name[16], number[16];

                snprintf(name, sizeof(name), "d%d", i);
                snprintf(number, sizeof(number), "%d", i);
                check(policy, "s.Go", NULL, POLICY_LIST_SOURCE_NAME, name, number);
        }
        policy_unref(policy);
        free(text);
}

static void test_empty(void **state) {
        PolicyIndex index = POLICY_INDEX_INIT;

        assert_null(policy_index_lookup(&index, NULL, NULL, POLICY_LIST_GENERAL, NULL, NULL));
        policy_index_deinit(&index);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kinds), cmocka_unit_test(test_rarest), cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_many),  cmocka_unit_test(test_empty),
        };

        return cmocka_run_group_tests_name("policy/index", tests, NULL, NULL);
}
