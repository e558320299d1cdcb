/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inventory/remote.h"
#include "inventory/test-hosts.h"
#include "policy-tools/decision.h"
#include "policy-tools/test-world.h"

static void test_decide(void **state) {
        static const struct {
                const char *name, *policy, *source, *target, *service, *expect, *message;
        } cases[] = {
                { "no rule", "", "work", "vault", "s", "deny", "no matching rule found" },
                { "a rule denies", "s * work vault deny", "work", "vault", "s", "deny", "denied by policy p:1" },
                { "quietly", "s * work vault deny notify=no", "work", "vault", "s", "deny notify=no",
                  "denied by policy p:1" },
                { "allowed", "s * work vault allow", "work", "vault", "s", "allow target=vault", NULL },
                { "as somebody", "s * work vault allow user=bob notify=yes", "work", "vault", "s",
                  "allow target=vault user=bob notify=yes", NULL },
                { "redirected to a disposable", "s * work * allow target=@dispvm", "work", "vault", "s",
                  "allow target=@dispvm:dvm", NULL },
                { "dom0 by its keyword", "s * work @adminvm allow", "work", "@adminvm", "s", "allow target=dom0",
                  NULL },
                { "not started", "s * work vault allow autostart=no", "work", "vault", "s", "deny notify=no",
                  "target vault is denied because it would require autostart" },
                { "it runs", "s * work relay allow autostart=no", "work", "relay", "s",
                  "allow target=relay autostart=no", NULL },
                { "through a relay", "s * work far allow", "work", "far", "s+x",
                  "allow target=far relay=relay service=net.Carry+far+s+x", NULL },
                { "to itself", "s * work work allow", "work", "work", "s", "deny",
                  "loopback qrexec connection not supported" },
                { "asked", "s * work vault ask\ns * work relay ask", "work", "vault", "s", "ask targets=relay,vault",
                  NULL },
                { "asked, with a default", "s * work vault ask default_target=vault user=u", "work", "vault", "s",
                  "ask targets=vault default_target=vault user=u", NULL },
                { "nothing to choose from", "s * work work ask", "work", "work", "s", "deny",
                  "policy define 'ask' action at p:1 but no target is available to choose from" },
        };
        PolicySystem *system = world_system();

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(policy_unrefp) Policy *policy = world_policy(cases[i].policy);
                _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
                _cleanup_free_ char *text = NULL;

                assert_int_equal(policy_decide(policy, system,
                                               &(PolicyRequest){ .source = policy_slice(cases[i].source),
                                                                 .target = policy_slice(cases[i].target),
                                                                 .service = policy_slice(cases[i].service) },
                                               &decision),
                                 0);
                text = policy_decision_format(&decision);
                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, text);
                if (strcmp(decision.message ?: "", cases[i].message ?: "") != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, decision.message);
        }
        policy_system_free(system);
}

/* As the broker has it, where the domains are those of an inventory. */
static void test_other_hosts(void **state) {
        static const struct {
                const char *name, *policy, *source, *speaks_for, *target, *expect, *message;
                bool is_unknown;
        } cases[] = {
                { "by its name here", "s * b-work work allow", "net", "b-work", "work", "allow target=work", NULL },
                { "by its name over there", "s * b-work work allow", "net", "work", "work", "allow target=work", NULL },
                { "no rule for the name over there", "s * work work allow", "net", "work", "work", "deny",
                  "no matching rule found" },
                { "two could be meant", "s * * * allow", "net", "y", "work", "deny notify=no", REMOTE_AMBIGUOUS_TEXT },
                { "unknown", "s * stranger work allow", "open", "nobody", "work", "allow target=work", NULL, true },
                { "no unknown ones", "s * * * allow", "net", "nobody", "work", "deny",
                  "unknown requested source qube 'nobody'" },
                { "longer than a name", "s * stranger work allow", "open",
                  "0123456789012345678901234567890123456789012345678901234567890123", "work", "deny",
                  "unknown requested source qube '0123456789012345678901234567890123456789012345678901234567890123'" },
                { "there", "s * work b-work allow", "work", NULL, "b-work",
                  "allow target=b-work relay=net service=t.T+b-work+s+", NULL },
                { "through two relays", "s * work hop2 allow", "work", NULL, "hop2",
                  "allow target=hop2 relay=net service=t.T+hop1+t.T+hop2+s+", NULL },
        };
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        char folder[] = HOSTS_FOLDER;

        hosts_make(folder);
        assert_int_equal(policy_system_from_inventory(folder, &diagnostics, &system), 0);
        assert_int_equal(folder_remove(folder), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(policy_unrefp) Policy *policy = world_policy(cases[i].policy);
                _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
                _cleanup_free_ char *text = NULL;

                assert_int_equal(policy_decide(policy, system,
                                               &(PolicyRequest){ .source = policy_slice(cases[i].source),
                                                                 .requested_source = policy_slice(cases[i].speaks_for),
                                                                 .target = policy_slice(cases[i].target),
                                                                 .service = POLICY_SLICE("s") },
                                               &decision),
                                 0);
                text = policy_decision_format(&decision);
                if (strcmp(text, cases[i].expect) != 0 || strcmp(decision.message ?: "", cases[i].message ?: "") != 0 ||
                    decision.is_unknown_source != cases[i].is_unknown)
                        fail_msg("%s: got \"%s\", %s", cases[i].name, text, decision.message ?: "no message");
        }
}

/* What does not fit once it is wrapped is refused. */
static void test_too_long(void **state) {
        _cleanup_(policy_unrefp) Policy *policy = world_policy("s * work far allow");
        PolicySystem *system = world_system();
        static char service[SERVICE_DESCRIPTOR_MAX + 1];

        memset(service, 'x', sizeof(service) - 1);
        memcpy(service, "s+", 2);
        for (size_t more = 0; more < 2; ++more) {
                _cleanup_(policy_decision_deinit) PolicyDecision decision = {};

                service[SERVICE_DESCRIPTOR_MAX - strlen("net.Carry+far+") + more] = '\0';
                assert_int_equal(policy_decide(policy, system,
                                               &(PolicyRequest){ .source = POLICY_SLICE("work"),
                                                                 .target = POLICY_SLICE("far"),
                                                                 .service = policy_slice(service) },
                                               &decision),
                                 0);
                assert_true(!decision.fields[POLICY_FIELD_TARGET] == (more > 0));
                assert_int_equal(decision.outcome, more ? POLICY_OUTCOME_DENY : POLICY_OUTCOME_ALLOW);
                assert_string_equal(decision.message ?: "", more ? POLICY_DECISION_TOO_LONG_TEXT : "");
                service[SERVICE_DESCRIPTOR_MAX - strlen("net.Carry+far+") + more] = 'x';
        }
        policy_system_free(system);
}

static void test_rule_show(void **state) {
        _cleanup_(policy_unrefp) Policy *policy = world_policy("s +x work vault allow user=\x1b[2J");
        _cleanup_free_ char *text = policy_rule_show(&policy->rules[0]);

        assert_string_equal(text, "p:1: s +x work vault allow user=\\x1b[2J");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decide),
                cmocka_unit_test(test_other_hosts),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_rule_show),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
