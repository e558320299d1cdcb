/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy-tools/assertion.h"
#include "policy-tools/test-world.h"

static void test_parse(void **state) {
        static const struct {
                const char *text;
                int expect;
                const char *format, *message;
        } cases[] = {
                { "", POLICY_ASSERTION_E_NOTHING },
                { "# work -> vault s: allow", POLICY_ASSERTION_E_NOTHING },
                { "work -> vault s: allow", 0, "allow" },
                { "work -> vault s+x: ask targets=a,b default_target=a", 0, "ask targets=a,b default_target=a" },
                { "relay for far -> vault s: deny notify=", 0, "deny notify=" },
                { "work", POLICY_ASSERTION_E_SYNTAX, NULL, "write 'SOURCE -> TARGET SERVICE: OUTCOME [KEY=VALUE …]'" },
                { "work vault s: allow", POLICY_ASSERTION_E_SYNTAX, NULL,
                  "write 'SOURCE -> TARGET SERVICE: OUTCOME [KEY=VALUE …]'" },
                { "relay for -> vault s: allow", POLICY_ASSERTION_E_SYNTAX, NULL,
                  "write 'SOURCE -> TARGET SERVICE: OUTCOME [KEY=VALUE …]'" },
                { "work -> vault", POLICY_ASSERTION_E_SYNTAX, NULL,
                  "write 'SOURCE -> TARGET SERVICE: OUTCOME [KEY=VALUE …]'" },
                { "work -> vault s allow", POLICY_ASSERTION_E_SYNTAX, NULL, "a colon should follow the service 's'" },
                { "work -> vault : allow", POLICY_ASSERTION_E_SYNTAX, NULL, "a colon should follow the service ':'" },
                { "work -> vault s:", POLICY_ASSERTION_E_SYNTAX, NULL, "after the colon comes allow, ask or deny" },
                { "work -> vault s: maybe", POLICY_ASSERTION_E_SYNTAX, NULL,
                  "after the colon comes allow, ask or deny" },
                { "work -> vault s: allow bob", POLICY_ASSERTION_E_SYNTAX, NULL,
                  "after the outcome come KEY=VALUE, not 'bob'" },
                { "work -> vault s: allow user=a user=a", POLICY_ASSERTION_E_SYNTAX, NULL, "given twice: 'user'" },
                { "work -> vault s: allow usr=a", POLICY_ASSERTION_E_SYNTAX, NULL,
                  "a decision has target=, targets=, default_target=, user=, autostart=, notify=, relay= and service=, "
                  "but not 'usr'" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                PolicyAssertion assertion = {};
                int r = policy_assertion_parse("t", 7, policy_slice(cases[i].text), &diagnostics, &assertion);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d", cases[i].text, r);
                if (cases[i].format) {
                        _cleanup_free_ char *text = policy_assertion_format(&assertion);

                        assert_string_equal(text, cases[i].format);
                }
                if (cases[i].message) {
                        assert_string_equal(diagnostics.entries[0].text, cases[i].message);
                        assert_int_equal(diagnostics.entries[0].line, 7);
                }
        }
}

static void test_holds(void **state) {
        static const struct {
                const char *text;
                bool holds;
        } cases[] = {
                { "work -> vault s: allow", true },
                { "work -> vault s: ask", false },
                { "work -> vault s: allow target=vault user=keys autostart=yes notify=no", true },
                { "work -> vault s: allow user=root", false },
                { "work -> vault s: allow user=", false },
                { "work -> vault s: allow relay=relay", false },
                { "work -> vault t: deny", true },
                { "work -> vault t: deny user=DEFAULT", false },
                { "work -> far s: allow relay=relay service=net.Carry+far+s+", true },
                { "relay for far -> vault s: allow", true },
                { "work for far -> vault s: deny", true },
        };
        PolicySystem *system = world_system();
        Policy *policy = world_policy("s * work vault allow user=keys\ns * work far allow\ns * far vault allow");

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
                PolicyAssertion assertion;

                assert_int_equal(policy_assertion_parse("t", 1, policy_slice(cases[i].text), &diagnostics, &assertion),
                                 0);
                assert_int_equal(policy_decide(policy, system, &assertion.request, &decision), 0);
                if (policy_assertion_holds(&assertion, &decision) != cases[i].holds)
                        fail_msg("%s", cases[i].text);
        }
        policy_unref(policy);
        policy_system_free(system);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_holds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
