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
#include "policy/question.h"
#include "policy/test-house.h"

typedef struct Row {
        const char *name, *policy, *source, *target;
        const char *expect; /* the choices, the default in brackets; or "deny MESSAGE" */
        const char *warning;
        bool with_bare; /* the domain of which nothing is known is there too */
} Row;

#define NONE_LEFT "deny policy define 'ask' action at t:1 but no target is available to choose from"
#define LACKING   "deny internal error: "

/* clang-format off */
static const Row rows[] = {
        /* one rule for each token */
        { "name", "s.Go * * @default ask\ns.Go * * web ask", "desk", "", "web" },
        { "unknown name", "s.Go * * @default ask\ns.Go * * ghost ask", "desk", "", NONE_LEFT },
        { "uuid", "s.Go * * @default ask\ns.Go * * uuid:" HOUSE_UUID("4") " ask", "desk", "", "web" },
        { "@default adds nothing", "s.Go * * @default ask", "desk", "", NONE_LEFT },
        { "@adminvm", "s.Go * * @default ask\ns.Go * * @adminvm ask", "desk", "", "dom0" },
        { "dom0", "s.Go * * @default ask\ns.Go * * dom0 ask", "desk", "", "dom0" },
        { "@type, a fact is missing", "s.Go * * web ask\ns.Go * * @type:StandaloneVM ask", "relay", "web",
          LACKING "a rule names a base that the inventory lacks, or needs a fact that it lacks", NULL, true },
        { "@tag, a fact is missing", "s.Go * * web ask\ns.Go * * @tag:office deny", "relay", "web",
          LACKING "a rule names a base that the inventory lacks, or needs a fact that it lacks", NULL, true },
        { "*, a fact is missing", "s.Go * * * ask", "relay", "web",
          LACKING "a rule names a base that the inventory lacks, or needs a fact that it lacks", NULL, true },
        { "@type", "s.Go * * @default ask\ns.Go * * @type:StandaloneVM ask\ns.Go * * @type:AdminVM ask", "relay", "",
          "dom0 web" },
        { "@tag", "s.Go * * @default ask\ns.Go * * @tag:office ask\ns.Go * * @tag:root-tag ask", "relay", "",
          "desk dom0 mail" },
        { "@dispvm:@tag", "s.Go * * @default ask\ns.Go * * @dispvm:@tag:online ask", "relay", "",
          "@dispvm:dvm-net" },
        { "@anyvm", "s.Go * * @anyvm ask", "relay", "web", "@dispvm:dvm @dispvm:dvm-net desk dvm dvm-net far far-gone "
          "far-lost far-mute mail odd vault web" },
        { "*", "s.Go * * * ask", "relay", "web", "@dispvm:dvm @dispvm:dvm-net desk dom0 dvm dvm-net far far-gone "
          "far-lost far-mute mail odd vault web" },
        { "all but dom0 denied", "s.Go * * web ask\ns.Go * * @anyvm deny\ns.Go * * * ask", "relay", "web", "dom0 web" },
        { "all denied", "s.Go * * web ask\ns.Go * * * deny\ns.Go * * * ask", "relay", "web", "web" },
        { "@dispvm", "s.Go * * @default ask\ns.Go * * @dispvm ask", "mail", "", "@dispvm:dvm-net" },
        { "@dispvm, none", "s.Go * * @default ask\ns.Go * * @dispvm ask", "vault", "", NONE_LEFT },
        { "@dispvm, not a base", "s.Go * * @default ask\ns.Go * * @dispvm ask", "odd", "", "@dispvm:web" },
        { "@dispvm, missing", "s.Go * * @default ask\ns.Go * * @dispvm ask", "web", "",
          LACKING "the source's default base is not in the inventory" },
        { "@dispvm:X", "s.Go * * @default ask\ns.Go * * @dispvm:dvm ask", "desk", "", "@dispvm:dvm" },
        { "@dispvm:X, not a base", "s.Go * * @default ask\ns.Go * * @dispvm:web ask", "desk", "", NONE_LEFT },
        { "@dispvm:X, missing", "s.Go * * @default ask\ns.Go * * @dispvm:ghost deny", "desk", "",
          LACKING "a rule names a base that the inventory lacks, or needs a fact that it lacks" },
        { "about another source", "s.Go * * web ask\ns.Go * mail @dispvm:ghost deny", "desk", "web", "web" },

        /* what takes part */
        { "allow counts too", "s.Go * * web ask\ns.Go * * vault allow", "desk", "web", "vault web" },
        { "an earlier deny takes away", "s.Go * * web deny\ns.Go * * mail ask\ns.Go * * web ask", "desk", "mail",
          "mail" },
        { "a later one does not", "s.Go * * web ask\ns.Go * * web deny", "desk", "web", "web" },
        { "@adminvm is not dom0 yet", "s.Go * * @adminvm deny\ns.Go * * web ask\ns.Go * * dom0 ask", "desk", "web",
          "dom0 web" },
        { "dom0 is", "s.Go * * dom0 deny\ns.Go * * web ask\ns.Go * * dom0 ask", "desk", "web", "web" },
        { "@dispvm is not the base yet", "s.Go * * @dispvm deny\ns.Go * * web ask\ns.Go * * @dispvm:dvm ask", "desk",
          "web", "@dispvm:dvm web" },
        { "another argument", "s.Go +x * web ask\ns.Go +y * mail ask\n* * * vault ask", "desk", "web", "vault web" },
        { "of redirections, the target", "s.Go * * web ask\ns.Go * * mail allow target=vault", "desk", "web",
          "vault web" },
        { "never the source", "s.Go * * web ask\ns.Go * * desk ask", "desk", "web", "web" },
        { "nor the internal", "s.Go * * web ask\ns.Go * * back ask", "desk", "web", "web" },
        { "the source is unknown", "s.Go * * web ask", "ghost", "web",
          LACKING "the source is not in the inventory or has no uuid" },
        { "a fact of the source is unknown", "s.Go * * web ask\ns.Go * @tag:x mail deny", "bare", "web",
          LACKING "a rule needs a fact that the inventory lacks", NULL, true },
        { "only what runs", "s.Go * * web ask autostart=no\ns.Go * * vault ask\ns.Go * * @dispvm ask\n"
          "s.Go * * dom0 ask", "desk", "web", "dom0 web" },
        { "what perhaps runs", "s.Go * * web ask autostart=no\ns.Go * * bare ask", "desk", "web",
          LACKING "power_state of a choice is not known", NULL, true },

        /* target= */
        { "target=", "s.Go * * web ask target=mail\ns.Go * * vault ask", "desk", "web", "mail" },
        { "target=, the source", "s.Go * * web ask target=desk", "desk", "web", "desk" },
        { "target=, unknown", "s.Go * * web ask target=ghost", "desk", "web", "ghost" },
        { "target=, uuid", "s.Go * * web ask target=uuid:" HOUSE_UUID("2"), "desk", "web", "uuid:" HOUSE_UUID("2") },
        { "target=@adminvm", "s.Go * * web ask target=@adminvm", "desk", "web", "dom0" },
        { "target=, zero uuid", "s.Go * * web ask target=" POLICY_UUID_DOM0, "desk", "web", "dom0" },
        { "target=@dispvm", "s.Go * * web ask target=@dispvm", "desk", "web", "@dispvm" },
        { "target=, source unknown", "s.Go * * web ask target=web", "ghost", "web", "web" },
        { "target=, not running", "s.Go * * web ask target=vault autostart=no", "desk", "web", NONE_LEFT },
        { "target=, perhaps running", "s.Go * * web ask target=ghost autostart=no", "desk", "web",
          LACKING "power_state of the only choice is not known" },
        { "target=, dom0 runs", "s.Go * * web ask target=dom0 autostart=no", "desk", "web", "dom0" },

        /* default_target= */
        { "default", "s.Go * * web ask default_target=web", "desk", "web", "[web]" },
        { "default, resolved", "s.Go * * web ask default_target=@dispvm\ns.Go * * @dispvm ask", "desk", "web",
          "[@dispvm:dvm] web" },
        { "default, nothing to resolve to", "s.Go * * web ask default_target=@dispvm", "vault", "web", "web" },
        { "default, dom0", "s.Go * * dom0 ask default_target=@adminvm", "desk", "dom0", "[dom0]" },
        { "default, not offered", "s.Go * * web ask default_target=mail\ns.Go * * vault ask", "desk", "web",
          "vault web", "warning: policy define default_target=mail at t:1 but it is not among allowed targets "
          "(vault, web)" },
        { "default, by uuid", "s.Go * * web ask default_target=uuid:" HOUSE_UUID("4"), "desk", "web", "web",
          "warning: policy define default_target=uuid:" HOUSE_UUID("4") " at t:1 but it is not among allowed targets "
          "(web)" },
};
/* clang-format on */

typedef struct Fixture {
        PolicyFacts *facts;
        Policy *policy;
        PolicyResolution resolution;
        PolicyQuestion *question;
} Fixture;

static void fixture_init(Fixture *fixture, PolicySlice policy, const char *source, const char *target, bool with_bare) {
        PolicyRequest request = { .source = policy_slice(source),
                                  .target = policy_slice(target),
                                  .service = POLICY_SLICE("s.Go+x") };
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        *fixture = (Fixture){ .facts = with_bare ? house_facts() : house_known_facts() };
        assert_int_equal(policy_parse("t", policy, &diagnostics, &fixture->policy), 0);
        policy_evaluate(fixture->policy, fixture->facts, &request, &fixture->resolution);
        assert_int_equal(fixture->resolution.outcome, POLICY_OUTCOME_ASK);
        r = policy_question_new(fixture->policy, fixture->facts, &fixture->resolution, &fixture->question);
        assert_true(r == 0 || r == POLICY_QUESTION_E_DENIED);
        assert_true((r == 0) == (fixture->question != NULL));
        assert_true((r == 0) == (fixture->resolution.outcome == POLICY_OUTCOME_ASK));
}

static void fixture_deinit(Fixture *fixture) {
        policy_unref(fixture->policy);
        policy_facts_unref(fixture->facts);
        policy_question_free(fixture->question);
}

static void test_rows(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); ++i) {
                Fixture fixture;
                char got[POLICY_MESSAGE_MAX] = "", message[POLICY_MESSAGE_MAX];
                int n = 0;

                fixture_init(&fixture, policy_slice(rows[i].policy), rows[i].source, rows[i].target, rows[i].with_bare);
                if (!fixture.question)
                        snprintf(got, sizeof(got), "deny %s",
                                 policy_resolution_message(&fixture.resolution, message, sizeof(message)));
                for (size_t k = 0; fixture.question && k < fixture.question->n_choices; ++k) {
                        const char *choice = fixture.question->choices[k];
                        bool is_default = choice == fixture.question->default_choice;

                        n += snprintf(got + n, sizeof(got) - (size_t)n, "%s%s%s%s", k > 0 ? " " : "",
                                      is_default ? "[" : "", choice, is_default ? "]" : "");
                }
                if (strcmp(got, rows[i].expect) != 0)
                        fail_msg("%s: %s", rows[i].name, got);
                if (fixture.question && fixture.question->dropped_default) {
                        _cleanup_free_ char *warning = policy_question_warning(fixture.question);

                        if (!rows[i].warning || strcmp(warning, rows[i].warning) != 0)
                                fail_msg("%s: %s", rows[i].name, warning);
                } else if (rows[i].warning) {
                        fail_msg("%s: no warning", rows[i].name);
                }
                fixture_deinit(&fixture);
        }
}

static void test_answer(void **state) {
        PolicyResolution resolution;
        char message[POLICY_MESSAGE_MAX];
        Fixture fixture;

        fixture_init(&fixture, POLICY_SLICE("s.Go * * @anyvm ask user=bob notify=yes"), "desk", "web", false);
        policy_question_answer(fixture.question, POLICY_SLICE("@dispvm:dvm"), &resolution);
        assert_int_equal(resolution.outcome, POLICY_OUTCOME_ALLOW);
        assert_int_equal(resolution.target.kind, POLICY_TOKEN_DISPVM_BASE);
        policy_route(fixture.facts, &resolution);
        assert_true(resolution.is_routed);
        assert_string_equal(resolution.destination->name->text, "dvm");
        assert_true(policy_slice_equal(resolution.user, POLICY_SLICE("bob")));

        policy_question_answer(fixture.question, POLICY_SLICE("desk"), &resolution);
        assert_int_equal(resolution.outcome, POLICY_OUTCOME_DENY);
        assert_string_equal(policy_resolution_message(&resolution, message, sizeof(message)),
                            "target desk is not a valid choice");
        assert_true(resolution.notify);
        policy_question_answer(fixture.question, POLICY_SLICE("mail\0"), &resolution);
        assert_int_equal(resolution.reason, POLICY_REASON_BAD_CHOICE);

        policy_question_refuse(fixture.question, POLICY_REASON_USER, &resolution);
        assert_string_equal(policy_resolution_message(&resolution, message, sizeof(message)), "denied by the user t:1");
        assert_true(resolution.notify);
        policy_question_refuse(fixture.question, POLICY_REASON_BAD_ANSWER, &resolution);
        assert_string_equal(policy_resolution_message(&resolution, message, sizeof(message)), "invalid response");

        /* It is its own owner of what it points to. */
        fixture.policy = policy_unref(fixture.policy);
        fixture.facts = policy_facts_unref(fixture.facts);
        policy_question_answer(fixture.question, POLICY_SLICE("mail"), &resolution);
        policy_route(fixture.question->facts, &resolution);
        assert_string_equal(resolution.destination->name->text, "mail");
        fixture_deinit(&fixture);
}

/* The choice `web` is not what `target=web\0x` says. */
static void test_nul(void **state) {
        Fixture fixture;

        fixture_init(&fixture, POLICY_SLICE("s.Go * * web ask target=web\0x"), "desk", "web", false);
        assert_null(fixture.question);
        assert_int_equal(fixture.resolution.reason, POLICY_REASON_FAULT);
        fixture_deinit(&fixture);
        fixture_init(&fixture, POLICY_SLICE("s.Go * * web ask default_target=web\0x"), "desk", "web", false);
        assert_non_null(fixture.question);
        assert_null(fixture.question->default_choice);
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_answer),
                cmocka_unit_test(test_nul),
        };

        return cmocka_run_group_tests_name("policy/question", tests, NULL, NULL);
}
