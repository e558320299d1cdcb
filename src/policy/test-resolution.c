/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/evaluate.h"
#include "policy/test-house.h"

typedef struct Fixture {
        PolicyFacts *facts;
        Policy *policy;
        PolicyResolution resolution;
} Fixture;

static void fixture_init(Fixture *fixture, const char *policy, PolicySlice source, PolicySlice target,
                         PolicySlice service) {
        PolicyRequest request = { .source = source, .target = target, .service = service };
        Diagnostics diagnostics = DIAGNOSTICS_INIT;

        *fixture = (Fixture){ .facts = house_facts() };
        assert_int_equal(policy_parse("t", policy_slice(policy), &diagnostics, &fixture->policy), 0);
        policy_evaluate(fixture->policy, fixture->facts, &request, &fixture->resolution);
        policy_route(fixture->facts, &fixture->resolution);
}

static void fixture_deinit(Fixture *fixture) {
        policy_unref(fixture->policy);
        policy_facts_unref(fixture->facts);
}

/* clang-format off */
static void test_response(void **state) {
        static const struct {
                const char *name, *policy, *source, *target, *service, *expect;
        } cases[] = {
                { "refused", "", "desk", "web", "s.Go", "result=deny" },
                { "ask is no answer", "* * * * ask", "desk", "web", "s.Go", "result=deny" },
                { "a domain", "* * * * allow", "desk", "web", "s.Go",
                  "user=DEFAULT\nresult=allow\ntarget=web\ntarget_uuid=uuid:" HOUSE_UUID("4")
                  "\nautostart=True\nrequested_target=web" },
                { "dom0", "* * * * allow autostart=no", "desk", "@adminvm", "s.Go",
                  "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=False\nrequested_target=@adminvm" },
                { "a disposable", "* * * * allow target=@dispvm user=bob", "desk", "web", "s.Go",
                  "user=bob\nresult=allow\ntarget=@dispvm:dvm\ntarget_uuid=@dispvm:uuid:" HOUSE_UUID("6")
                  "\nautostart=True\nrequested_target=web" },
                { "a remote domain", "* * * * allow target=far user=bob", "desk", "", "s.Go+x",
                  "user=DEFAULT\nresult=allow\ntarget=relay\ntarget_uuid=uuid:" HOUSE_UUID("9")
                  "\nautostart=True\nrequested_target=@default\nservice=net.Carry+far+s.Go+x" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Fixture fixture;
                char got[POLICY_RESPONSE_MAX];

                fixture_init(&fixture, cases[i].policy, policy_slice(cases[i].source), policy_slice(cases[i].target),
                             policy_slice(cases[i].service));
                assert_int_equal(policy_resolution_response(&fixture.resolution, got, sizeof(got)), 0);
                if (strcmp(got, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].name, got);
                fixture_deinit(&fixture);
        }
}
/* clang-format on */

/* One byte too few is too few, and nothing is written past the buffer. */
static void test_space(void **state) {
        char got[POLICY_RESPONSE_MAX], exact[POLICY_RESPONSE_MAX];
        Fixture fixture;
        size_t n;

        fixture_init(&fixture, "* * * * allow", POLICY_SLICE("desk"), POLICY_SLICE("web"), POLICY_SLICE("s.Go"));
        assert_int_equal(policy_resolution_response(&fixture.resolution, got, sizeof(got)), 0);
        n = strlen(got) + 1;
        memset(exact, 'X', sizeof(exact));
        assert_int_equal(policy_resolution_response(&fixture.resolution, exact, n), 0);
        assert_int_equal(exact[n], 'X');
        assert_int_equal(policy_resolution_response(&fixture.resolution, exact, n - 1), POLICY_RESOLUTION_E_SPACE);
        assert_int_equal(policy_resolution_service(&fixture.resolution, exact, 5), 0);
        assert_int_equal(policy_resolution_service(&fixture.resolution, exact, 4), POLICY_RESOLUTION_E_SPACE);
        assert_int_equal(policy_target_format(&fixture.resolution.target, exact, 4), 0);
        assert_int_equal(policy_target_format(&fixture.resolution.target, exact, 3), POLICY_RESOLUTION_E_SPACE);
        assert_int_equal(policy_target_format(&fixture.resolution.target, exact, 0), POLICY_RESOLUTION_E_SPACE);
        fixture_deinit(&fixture);
}

/* A message that does not fit is cut; what a caller put into it cannot forge a line. */
static void test_message(void **state) {
        char got[POLICY_MESSAGE_MAX];
        Fixture fixture;

        fixture_init(&fixture, "* * * * allow", POLICY_SLICE("desk"), POLICY_SLICE("@dispvm:a\nb"),
                     POLICY_SLICE("s.Go"));
        assert_string_equal(policy_resolution_message(&fixture.resolution, got, sizeof(got)),
                            "not a template for dispvm: a\\nb");
        for (size_t n = 1; n < 32; ++n) {
                memset(got, 'X', sizeof(got));
                policy_resolution_message(&fixture.resolution, got, n);
                assert_true(strlen(got) < n);
                assert_int_equal(got[n], 'X');
        }
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_response),
                cmocka_unit_test(test_space),
                cmocka_unit_test(test_message),
        };

        return cmocka_run_group_tests_name("policy/resolution", tests, NULL, NULL);
}
