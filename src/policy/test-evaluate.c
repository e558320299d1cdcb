/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/evaluate.h"
#include "policy/test-house.h"

#define NOTIFIED " (notify)"
#define WEB_UUID "uuid:" HOUSE_UUID("4")

typedef struct Row {
        const char *name, *policy, *source, *target, *service;
        const char *expect; /* "allow DESTINATION TARGET USER", "ask RULE LINE", "deny MESSAGE", and what else is set */
        const char *requested_source;
} Row;

/* clang-format off */
static const Row rows[] = {
        /* 5.3 */
        { "no rules", "", "desk", "web", "s.Go", "deny no matching rule found" NOTIFIED },
        { "no rule for it", "s.No * * * allow", "desk", "web", "s.Go", "deny no matching rule found" NOTIFIED },
        { "allow", "s.Go * desk web allow", "desk", "web", "s.Go", "allow web web DEFAULT" },
        { "deny", "s.Go * desk web deny", "desk", "web", "s.Go", "deny denied by policy t:1" NOTIFIED },
        { "deny in silence", "\ns.Go * desk web deny notify=no", "desk", "web", "s.Go", "deny denied by policy t:2" },
        { "ask", "s.Go * desk web ask", "desk", "web", "s.Go", "ask t:1" },
        { "ask, notify", "s.Go * desk web ask notify=yes", "desk", "web", "s.Go", "ask t:1" NOTIFIED },
        { "the first match decides", "s.Go * desk web deny\ns.Go * desk web allow", "desk", "web", "s.Go",
          "deny denied by policy t:1" NOTIFIED },
        { "a general rule may come first", "* * * * deny\ns.Go * desk web allow", "desk", "web", "s.Go",
          "deny denied by policy t:1" NOTIFIED },
        { "and a special one before it", "s.Go * desk web allow\n* * * * deny", "desk", "web", "s.Go",
          "allow web web DEFAULT" },
        { "all five lists in order", "s.Go * mail * deny\ns.Go * * vault deny\ns.Go * dom0 * deny\n"
          "s.Go * @anyvm dom0 deny\ns.Go * @tag:base * deny\n* * desk web allow", "desk", "web", "s.Go",
          "allow web web DEFAULT" },

        /* 2.2, 5.1 */
        { "any argument", "s.Go * desk web allow", "desk", "web", "s.Go+x+y", "allow web web DEFAULT" },
        { "that argument", "s.Go +x desk web allow", "desk", "web", "s.Go+x", "allow web web DEFAULT" },
        { "another argument", "s.Go +x desk web allow", "desk", "web", "s.Go+y", "deny no matching rule found" NOTIFIED },
        { "no argument", "s.Go + desk web allow", "desk", "web", "s.Go", "allow web web DEFAULT" },
        { "the empty argument", "s.Go + desk web allow", "desk", "web", "s.Go+", "allow web web DEFAULT" },
        { "not the empty argument", "s.Go + desk web allow", "desk", "web", "s.Go+x",
          "deny no matching rule found" NOTIFIED },
        { "any service", "* * desk web allow", "desk", "web", "any.Thing", "allow web web DEFAULT" },

        /* 4.4 */
        { "no target", "s.Go * * @default allow target=mail", "desk", "", "s.Go", "allow mail mail DEFAULT" },
        { "unknown target", "s.Go * * @default allow target=mail", "desk", "ghost", "s.Go",
          "allow mail mail DEFAULT; qrexec: target 'ghost' does not exist, using @default instead" },
        { "not a token", "* * * * allow", "desk", "@tag:x", "s.Go",
          "deny <unknown>:0: invalid intendedtarget token: '@tag:x'" },
        { "no base", "* * * * allow", "desk", "@dispvm:web", "s.Go", "deny not a template for dispvm: web" NOTIFIED },
        { "unknown base", "* * * * allow", "desk", "@dispvm:ghost", "s.Go",
          "deny not a template for dispvm: ghost" NOTIFIED },
        { "perhaps a base", "* * * * allow", "desk", "@dispvm:bare", "s.Go",
          "deny internal error: template_for_dispvms of the target is not known" },

        /* 5.5 */
        { "redirected", "s.Go * desk * allow target=mail\ns.Go * desk mail deny", "desk", "web", "s.Go",
          "allow mail mail DEFAULT" },
        { "redirected to the unknown", "s.Go * desk * allow target=ghost", "desk", "web", "s.Go",
          "deny policy define 'allow' action at t:1 but no target is specified by caller or policy" NOTIFIED
          "; qrexec: target 'ghost' does not exist, using @default instead" },
        { "nowhere to go", "s.Go * desk * allow", "desk", "", "s.Go",
          "deny policy define 'allow' action at t:1 but no target is specified by caller or policy" NOTIFIED },
        { "redirected to no base", "s.Go * desk * allow target=@dispvm:web", "desk", "web", "s.Go",
          "deny not a template for dispvm: web" NOTIFIED },
        { "disposable", "s.Go * * @dispvm allow", "desk", "@dispvm", "s.Go", "allow dvm @dispvm:dvm DEFAULT" },
        { "disposable, not a base", "s.Go * * @dispvm allow", "odd", "@dispvm", "s.Go",
          "allow web @dispvm:web DEFAULT" },
        { "disposable, of nothing", "s.Go * * @dispvm allow", "vault", "@dispvm", "s.Go",
          "deny policy define 'allow' action to @dispvm at t:1 but no DispVM base is set for this VM" NOTIFIED },
        { "disposable, of the missing", "s.Go * * @dispvm allow", "web", "@dispvm", "s.Go",
          "deny internal error: the target is not in the inventory" },
        { "dom0", "s.Go * * * allow", "desk", "@adminvm", "s.Go", "allow dom0 dom0 DEFAULT" },
        { "running", "s.Go * * * allow autostart=no", "desk", "web", "s.Go", "allow web web DEFAULT no start" },
        { "not running", "s.Go * * * allow autostart=no", "desk", "vault", "s.Go",
          "deny target vault is denied because it would require autostart" },
        { "not running, notify", "s.Go * * * allow autostart=no notify=yes", "desk", "vault", "s.Go",
          "deny target vault is denied because it would require autostart" NOTIFIED },
        { "disposables need a start", "s.Go * * * allow autostart=no", "desk", "@dispvm", "s.Go",
          "deny target @dispvm:dvm is denied because it would require autostart" },
        { "dom0 needs none", "s.Go * * * allow autostart=no", "desk", "dom0", "s.Go", "allow dom0 dom0 DEFAULT no start" },
        { "perhaps running", "s.Go * * * allow autostart=no", "desk", "bare", "s.Go",
          "deny internal error: power_state of the target is not known" },

        /* 5.6 */
        { "user", "s.Go * * * allow user=bob", "desk", "web", "s.Go", "allow web web bob" },
        { "empty user", "s.Go * * * allow user=", "desk", "web", "s.Go", "allow web web DEFAULT" },
        { "allow, notify", "s.Go * * * allow notify=yes", "desk", "web", "s.Go", "allow web web DEFAULT" NOTIFIED },
        { "by uuid", "s.Go * * web allow", "desk", WEB_UUID, "s.Go", "allow web " WEB_UUID " DEFAULT" },
        { "to itself", "s.Go * * * allow", "desk", "desk", "s.Go",
          "deny loopback qrexec connection not supported" NOTIFIED },
        { "to itself by uuid", "s.Go * * * allow", "desk", "uuid:" HOUSE_UUID("1"), "s.Go",
          "allow desk uuid:" HOUSE_UUID("1") " DEFAULT" },
        { "unknown type", "s.Go * * * allow", "desk", "bare", "s.Go",
          "deny internal error: type of the target is not known" },
        { "a fact is missing", "s.Go * @tag:x * allow\n* * * * allow", "bare", "web", "s.Go",
          "deny internal error: a rule needs a fact that the inventory lacks" },
        { "a fact is missing, whatever the target", "s.Go * @tag:x vault allow\n* * * * allow", "bare", "web", "s.Go",
          "deny internal error: a rule needs a fact that the inventory lacks" },
        { "unknown source", "s.Go * ghost * allow", "ghost", "web", "s.Go", "allow web web DEFAULT" },

        /* 5.7 */
        { "remote", "s.Go * * far allow", "desk", "far", "s.Go", "allow relay far DEFAULT net.Carry+far+s.Go+" },
        { "remote, argument", "s.Go * * far allow", "desk", "far", "s.Go+x+y",
          "allow relay far DEFAULT net.Carry+far+s.Go+x+y" },
        { "remote by redirection", "s.Go * * * allow target=far", "desk", "web", "s.Go",
          "allow relay far DEFAULT net.Carry+far+s.Go+" },
        { "remote by uuid", "s.Go * * far allow", "desk", "uuid:" HOUSE_UUID("a"), "s.Go",
          "allow relay uuid:" HOUSE_UUID("a") " DEFAULT net.Carry+far+s.Go+" },
        { "remote, user", "s.Go * * far allow user=", "desk", "far", "s.Go",
          "allow relay far DEFAULT net.Carry+far+s.Go+; "
          "Ignoring user directive in policy. This is not supported in the case of RemoveVM." },
        { "no relay", "s.Go * * * allow", "desk", "far-lost", "s.Go", "deny far-lost: relayvm is not set" NOTIFIED },
        { "no transport", "s.Go * * * allow", "desk", "far-mute", "s.Go",
          "deny far-mute: transport RPC is not set" NOTIFIED },
        { "relay missing", "s.Go * * * allow", "desk", "far-gone", "s.Go",
          "deny internal error: the target's relay is not in the inventory or has no uuid" },

        /* 5.2 */
        { "relayed", "s.Go * far web allow", "relay", "web", "s.Go", "allow web web DEFAULT for far", "far" },
        { "relayed, not as the relay", "s.Go * relay web allow", "relay", "web", "s.Go",
          "deny no matching rule found" NOTIFIED, "far" },
        { "relayed to the remote itself", "s.Go * * * allow", "relay", "far", "s.Go",
          "deny loopback qrexec connection not supported" NOTIFIED, "far" },
        { "for the unknown", "* * * * allow", "relay", "web", "s.Go",
          "deny unknown requested source qube 'ghost'" NOTIFIED, "ghost" },
        { "for a local one", "* * * * allow", "relay", "web", "s.Go",
          "deny desk: requested source is only authorized for RemoteVM" NOTIFIED, "desk" },
        { "for another's", "* * * * allow", "desk", "web", "s.Go", "deny desk is not a relay for far" NOTIFIED, "far" },
        { "for nobody's", "* * * * allow", "relay", "web", "s.Go",
          "deny relay is not a relay for far-lost" NOTIFIED, "far-lost" },
        { "for who knows what", "* * * * allow", "relay", "web", "s.Go",
          "deny internal error: type of the requested source is not known", "bare" },
        { "the target is checked first", "* * * * allow", "relay", "@tag:x", "s.Go",
          "deny <unknown>:0: invalid intendedtarget token: '@tag:x'", "ghost" },
};
/* clang-format on */

/* A resolution in one line. */
static void show(const PolicyResolution *resolution, char *buffer, size_t n) {
        char text[POLICY_MESSAGE_MAX];
        size_t used = 0;

#define ADD(...) used += (size_t)snprintf(buffer + used, n - used, __VA_ARGS__)
        switch (resolution->outcome) {
        case POLICY_OUTCOME_DENY:
                ADD("deny %s", policy_resolution_message(resolution, text, sizeof(text)));
                break;
        case POLICY_OUTCOME_ASK:
                ADD("ask %s:%u", resolution->rule->path->text, resolution->rule->line);
                break;
        case POLICY_OUTCOME_ALLOW:
                assert_true(resolution->is_routed);
                assert_true(resolution->is_dom0 == (strcmp(resolution->destination->name->text, "dom0") == 0));
                assert_int_equal(policy_target_format(&resolution->target, text, sizeof(text)), 0);
                ADD("allow %s %s %.*s", resolution->destination->name->text, text, (int)resolution->user.n,
                    resolution->user.text);
                if (!resolution->autostart)
                        ADD(" no start");
                assert_int_equal(policy_resolution_service(resolution, text, sizeof(text)), 0);
                if (resolution->is_remote)
                        ADD(" %s", text);
                else
                        assert_string_equal(text, resolution->request.service.text);
                if (resolution->is_relayed)
                        ADD(" for %.*s", (int)resolution->source.text.n, resolution->source.text.text);
                break;
        }
        if (resolution->notify)
                ADD(NOTIFIED);
        for (PolicyWarning warning = 0; warning < _POLICY_WARNING_N; ++warning)
                if (resolution->warnings & BIT(warning))
                        ADD("; %s", policy_resolution_warning(resolution, warning, text, sizeof(text)));
#undef ADD
}

static void test_rows(void **state) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();

        for (size_t i = 0; i < ARRAY_SIZE(rows); ++i) {
                PolicyRequest request = { .source = policy_slice(rows[i].source),
                                          .requested_source = policy_slice(rows[i].requested_source),
                                          .target = policy_slice(rows[i].target),
                                          .service = policy_slice(rows[i].service) };
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                _cleanup_(policy_unrefp) Policy *policy = NULL;
                PolicyResolution resolution;
                char got[POLICY_MESSAGE_MAX * 2] = "";

                if (policy_parse("t", policy_slice(rows[i].policy), &diagnostics, &policy) != 0)
                        fail_msg("%s: %s", rows[i].name, diagnostics.entries[0].text);
                policy_evaluate(policy, facts, &request, &resolution);
                policy_route(facts, &resolution);
                show(&resolution, got, sizeof(got));
                if (strcmp(got, rows[i].expect) != 0)
                        fail_msg("%s: %s", rows[i].name, got);
        }
}

/* What was never evaluated is refused. */
static void test_zero(void **state) {
        PolicyResolution resolution = {};
        char text[POLICY_MESSAGE_MAX];

        assert_int_equal(resolution.outcome, POLICY_OUTCOME_DENY);
        assert_string_equal(policy_resolution_message(&resolution, text, sizeof(text)),
                            "internal error: not evaluated");
        assert_int_equal(policy_resolution_response(&resolution, text, sizeof(text)), 0);
        assert_string_equal(text, "result=deny");
}

/* A user with a NUL in it would be another user once it is a C string. */
static void test_nul_user(void **state) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        PolicyRequest request = { .source = POLICY_SLICE("desk"),
                                  .target = POLICY_SLICE("web"),
                                  .service = POLICY_SLICE("s.Go") };
        PolicyResolution resolution;

        assert_int_equal(policy_parse("t", POLICY_SLICE("* * * * allow user=root\0x"), &diagnostics, &policy), 0);
        policy_evaluate(policy, facts, &request, &resolution);
        policy_route(facts, &resolution);
        assert_int_equal(resolution.outcome, POLICY_OUTCOME_DENY);
        assert_int_equal(resolution.reason, POLICY_REASON_FAULT);
}

/* The setter takes effect at once, on the same facts. */
static void test_started(void **state) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        PolicyRequest request = { .source = POLICY_SLICE("desk"),
                                  .target = POLICY_SLICE("vault"),
                                  .service = POLICY_SLICE("s.Go") };
        PolicyResolution resolution;

        assert_int_equal(policy_parse("t", POLICY_SLICE("* * * * allow autostart=no"), &diagnostics, &policy), 0);
        policy_evaluate(policy, facts, &request, &resolution);
        assert_int_equal(resolution.reason, POLICY_REASON_AUTOSTART);
        policy_facts_set_running(facts, policy_facts_lookup(facts, request.target)->index, POLICY_FACT_YES);
        policy_evaluate(policy, facts, &request, &resolution);
        assert_int_equal(resolution.outcome, POLICY_OUTCOME_ALLOW);
}

/* More tags than the index is asked about: slower, and the same. */
static void test_many_tags(void **state) {
        char texts[40][8];
        const char *tags[ARRAY_SIZE(texts)];
        PolicyDomainInput domains[] = {
                { .name = "a", .uuid = "1", .type = "AppVM", .tags = tags, .has_tags = true },
                { .name = "b", .uuid = "2", .type = "AppVM", .tags = tags, .has_tags = true },
        };
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        PolicyRequest request = { .source = POLICY_SLICE("a"),
                                  .target = POLICY_SLICE("b"),
                                  .service = POLICY_SLICE("s.Go") };

        for (size_t i = 0; i < ARRAY_SIZE(texts); ++i) {
                snprintf(texts[i], sizeof(texts[i]), "t%zu", i);
                tags[i] = texts[i];
        }
        assert_int_equal(policy_parse("t",
                                      POLICY_SLICE("s.Go * @tag:x * deny\ns.Go * b b deny\n"
                                                   "s.Go * @tag:t30 @tag:t31 allow\n* * * * deny"),
                                      &diagnostics, &policy),
                         0);
        for (size_t n = 30; n < ARRAY_SIZE(texts); ++n) {
                PolicyFacts *facts = NULL;
                PolicyResolution resolution;

                domains[0].n_tags = n;
                domains[1].n_tags = ARRAY_SIZE(texts);
                assert_int_equal(policy_facts_new(domains, ARRAY_SIZE(domains), &facts), 0);
                policy_evaluate(policy, facts, &request, &resolution);
                assert_ptr_equal(resolution.rule, &policy->rules[n > 30 ? 2 : 3]);
                domains[1].n_tags = 32;
                policy_facts_unref(facts);
                assert_int_equal(policy_facts_new(domains, ARRAY_SIZE(domains), &facts), 0);
                policy_evaluate(policy, facts, &request, &resolution);
                assert_ptr_equal(resolution.rule, &policy->rules[n > 30 ? 2 : 3]);
                policy_facts_unref(facts);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),    cmocka_unit_test(test_zero),      cmocka_unit_test(test_nul_user),
                cmocka_unit_test(test_started), cmocka_unit_test(test_many_tags),
        };

        return cmocka_run_group_tests_name("policy/evaluate", tests, NULL, NULL);
}
