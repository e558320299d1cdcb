/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "policy/test-house.h"

#define DOM0_UUID POLICY_UUID_DOM0
#define WEB_UUID  "uuid:" HOUSE_UUID("4")
#define DVM_UUID  "uuid:" HOUSE_UUID("6")

/* One rule, one query: 'y', 'n', or 'F' for a fault. */
static char match(const char *rule_source, const char *rule_target, const char *source, const char *target) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        PolicyQuery query = { .facts = facts, .source = policy_party(facts, policy_slice(source)) };
        PolicySlice value;
        char text[256];

        snprintf(text, sizeof(text), "* * %s %s deny", rule_source, rule_target);
        assert_int_equal(policy_parse("t", policy_slice(text), &diagnostics, &policy), 0);
        assert_int_equal(policy_token_parse(POLICY_PLACE_REQUESTED, policy_slice(target), &query.target.kind, &value),
                         0);
        if (value.n > 0)
                query.target.party = policy_party(facts, value);
        switch (policy_match(&policy->rules[0], &query)) {
        case POLICY_MATCH_NO:
                return 'n';
        case POLICY_MATCH_YES:
                return 'y';
        case POLICY_MATCH_FAULT:
                break;
        }
        return 'F';
}

/* clang-format off */
static const struct {
        const char *rule;
        const char *expect; /* one for each of the columns */
} source_rows[] = {
        /*                        desk  uuid:desk  dom0  @zero  ghost  bare */
        { "*",                    "y"   "y"        "y"   "y"    "y"    "y" },
        { "@anyvm",               "y"   "y"        "n"   "n"    "y"    "y" },
        { "@adminvm",             "n"   "n"        "y"   "y"    "n"    "n" },
        { "dom0",                 "n"   "n"        "y"   "y"    "n"    "n" },
        { DOM0_UUID,              "n"   "n"        "y"   "y"    "n"    "n" },
        { "desk",                 "y"   "y"        "n"   "n"    "n"    "n" },
        { "uuid:" HOUSE_UUID("1"), "y"  "y"        "n"   "n"    "n"    "n" },
        { "ghost",                "n"   "n"        "n"   "n"    "y"    "n" },
        { "bare",                 "n"   "n"        "n"   "n"    "n"    "y" },
        { "@type:AppVM",          "y"   "y"        "n"   "n"    "n"    "F" },
        { "@type:AdminVM",        "n"   "n"        "y"   "y"    "n"    "F" },
        { "@tag:office",          "y"   "y"        "n"   "n"    "n"    "F" },
        { "@tag:root-tag",        "n"   "n"        "y"   "y"    "n"    "F" },
        { "@dispvm:dvm",          "n"   "n"        "n"   "n"    "n"    "n" },
        { "@dispvm:@tag:base",    "n"   "n"        "n"   "n"    "n"    "n" },
};
static const char *const sources[] = { "desk", "uuid:" HOUSE_UUID("1"), "dom0", DOM0_UUID, "ghost", "bare" };

static const struct {
        const char *rule;
        const char *expect;
} target_rows[] = {
        /*                        web  uuid:web  dom0  @adminvm  zero  @default  @dispvm  @dispvm:dvm  @dispvm:uuid:dvm */
        { "*",                    "y"  "y"       "y"   "y"       "y"   "y"       "y"      "y"          "y" },
        { "@anyvm",               "y"  "y"       "n"   "n"       "n"   "y"       "y"      "y"          "y" },
        { "@adminvm",             "n"  "n"       "y"   "y"       "y"   "n"       "n"      "n"          "n" },
        { "dom0",                 "n"  "n"       "y"   "y"       "y"   "n"       "n"      "n"          "n" },
        { DOM0_UUID,              "n"  "n"       "y"   "y"       "y"   "n"       "n"      "n"          "n" },
        { "web",                  "y"  "y"       "n"   "n"       "n"   "n"       "n"      "n"          "n" },
        { WEB_UUID,               "y"  "y"       "n"   "n"       "n"   "n"       "n"      "n"          "n" },
        { "mail",                 "n"  "n"       "n"   "n"       "n"   "n"       "n"      "n"          "n" },
        { "@type:StandaloneVM",   "y"  "y"       "n"   "n"       "n"   "n"       "n"      "n"          "n" },
        { "@type:AdminVM",        "n"  "n"       "y"   "n"       "y"   "n"       "n"      "n"          "n" },
        { "@tag:online",          "y"  "y"       "n"   "n"       "n"   "n"       "n"      "n"          "n" },
        { "@tag:root-tag",        "n"  "n"       "y"   "n"       "y"   "n"       "n"      "n"          "n" },
        { "@default",             "n"  "n"       "n"   "n"       "n"   "y"       "n"      "n"          "n" },
        { "@dispvm",              "n"  "n"       "n"   "n"       "n"   "n"       "y"      "n"          "n" },
        { "@dispvm:dvm",          "n"  "n"       "n"   "n"       "n"   "n"       "y"      "y"          "y" },
        { "@dispvm:" DVM_UUID,    "n"  "n"       "n"   "n"       "n"   "n"       "n"      "y"          "y" },
        { "@dispvm:dvm-net",      "n"  "n"       "n"   "n"       "n"   "n"       "n"      "n"          "n" },
        { "@dispvm:@tag:base",    "n"  "n"       "n"   "n"       "n"   "n"       "y"      "y"          "y" },
        { "@dispvm:@tag:online",  "n"  "n"       "n"   "n"       "n"   "n"       "n"      "n"          "n" },
};
static const char *const targets[] = {
        "web", WEB_UUID, "dom0", "@adminvm", DOM0_UUID, "@default", "@dispvm", "@dispvm:dvm", "@dispvm:" DVM_UUID,
};
/* clang-format on */

static void test_source(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(source_rows); ++i)
                for (size_t k = 0; k < ARRAY_SIZE(sources); ++k) {
                        char got = match(source_rows[i].rule, "*", sources[k], "web");

                        if (got != source_rows[i].expect[k])
                                fail_msg("rule %s, source %s: %c", source_rows[i].rule, sources[k], got);
                }
}

static void test_target(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(target_rows); ++i)
                for (size_t k = 0; k < ARRAY_SIZE(targets); ++k) {
                        char got = match("*", target_rows[i].rule, "desk", targets[k]);

                        if (got != target_rows[i].expect[k])
                                fail_msg("rule %s, target %s: %c", target_rows[i].rule, targets[k], got);
                }
}

/* Plain @dispvm depends on the source's default base. */
static void test_default_base(void **state) {
        static const struct {
                const char *name, *source, *rule;
                char expect;
        } cases[] = {
                { "another base", "mail", "@dispvm:dvm", 'n' },
                { "none", "vault", "@dispvm:dvm", 'F' },
                { "source unknown", "ghost", "@dispvm:dvm", 'F' },
                { "does not exist, compared as text", "web", "@dispvm:gone", 'y' },
                { "is no base, compared as text", "odd", "@dispvm:web", 'y' },
                { "its tag", "mail", "@dispvm:@tag:online", 'y' },
                { "a tag, no base", "vault", "@dispvm:@tag:base", 'n' },
                { "a tag, source unknown", "ghost", "@dispvm:@tag:base", 'n' },
                { "a tag, does not exist", "web", "@dispvm:@tag:base", 'F' },
                { "a tag, is no base", "odd", "@dispvm:@tag:online", 'n' },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char got = match("*", cases[i].rule, cases[i].source, "@dispvm");

                if (got != cases[i].expect)
                        fail_msg("%s: %c", cases[i].name, got);
        }
}

/* The order matters for faults: what a rule does not say of the source, its target is not asked about. */
static void test_order(void **state) {
        assert_int_equal(match("mail", "@dispvm:dvm", "vault", "@dispvm"), 'n');
        assert_int_equal(match("@tag:x", "mail", "bare", "web"), 'F');
        assert_int_equal(match("*", "@tag:x", "desk", "bare"), 'F');
        assert_int_equal(match("*", "@type:x", "desk", "bare"), 'F');
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_source),
                cmocka_unit_test(test_target),
                cmocka_unit_test(test_default_base),
                cmocka_unit_test(test_order),
        };

        return cmocka_run_group_tests_name("policy/match", tests, NULL, NULL);
}
