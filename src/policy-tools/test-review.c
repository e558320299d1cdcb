/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy-tools/review.h"
#include "policy-tools/test-world.h"

static bool has_service(const char *service, void *userdata) {
        return strcmp(service, "gone") != 0;
}

static void test_review(void **state) {
        static const struct {
                const char *name, *policy, *expect;
        } cases[] = {
                { "nothing", "", "" },
                { "nothing to say", "s * work vault allow\ns * vault work ask\ns * * * deny", "" },
                { "shadowed", "s * work vault deny\ns +x work vault allow",
                  "2 never decides anything: what it matches is decided before, by line 1\n" },
                { "shadowed by two", "s * work vault deny\ns * vault vault deny\ns * work vault allow\n",
                  "3 never decides anything: what it matches is decided before, by line 1\n" },
                { "shadowed together",
                  "s * work vault deny\ns * work work deny\ns * work dvm deny\ns * work relay deny\n"
                  "s * work far deny\ns * work @type:AppVM allow",
                  "6 never decides anything: what it matches is decided before, by line 2, line 1, line 3 and perhaps "
                  "others\n" },
                { "a tag covers its only domain", "s * @tag:office vault deny\ns * work vault allow",
                  "2 never decides anything: what it matches is decided before, by line 1\n" },
                { "shadowed for one argument only", "s +x work vault deny\ns * work vault allow", "" },
                { "a wider service", "* * work vault deny\ns * work vault deny",
                  "2 never decides anything: what it matches is decided before, by line 1\n" },
                { "an unknown domain", "s * work valt deny",
                  "1 target 'valt' is no domain of this host: did you mean 'vault'?\n" },
                { "unknown everywhere", "s * zzzzzz vault ask target=yyyyyy default_target=xxxxxx",
                  "1 source 'zzzzzz' is no domain of this host\n1 target= 'yyyyyy' is no domain of this host\n"
                  "1 default_target= 'xxxxxx' is no domain of this host\n" },
                { "a tag", "s * @tag:x vault deny", "1 no domain has the tag 'x'\n" },
                { "a type", "s * @type:x vault deny", "1 no domain is of the type 'x'\n" },
                { "no base", "s * work @dispvm:vault allow",
                  "1 target @dispvm:vault: no disposables may be made from 'vault' (template_for_dispvms)\n" },
                { "a base", "s * work @dispvm:dvm allow", "" },
                { "a source that calls nobody", "s * @dispvm:dvm vault deny",
                  "1 its source is a disposable that does not exist yet, which calls nobody: name the tag or the type "
                  "of "
                  "those that are to call\n" },
                { "calls of dom0", "s * dom0 vault allow\ns * @adminvm vault allow",
                  "1 its source is dom0, whose calls no policy is asked about\n"
                  "2 its source is dom0, whose calls no policy is asked about\n" },
                { "an argument of dom0's", "s * work @adminvm deny\ns * work @adminvm allow",
                  "2 never decides anything: what it matches is decided before, by line 1\n" },
                { "a redirection around a denial", "s * work vault deny\ns * work relay allow target=vault",
                  "2 target= sends calls of 'work' to a target that line 1 denies it: a redirection is not evaluated "
                  "again\n" },
                { "a redirection that is denied later", "s * work relay allow target=vault\ns * work vault deny", "" },
                { "nobody in particular", "s * work @anyvm allow",
                  "1 calls for @default match too, and are refused, because there is no target=\n" },
                { "nobody in particular, decided before", "s * work @default deny\ns * work * allow", "" },
                { "a shell for everybody", "qubes.VMShell * @anyvm vault allow",
                  "1 qubes.VMShell gives full control of the target, and the rule is for every caller\n" },
                { "any service anywhere", "* * work @anyvm allow target=relay",
                  "1 '*' includes services that give full control of the target, and the rule is for every target\n" },
                { "a shell that is asked for", "qubes.VMShell * @anyvm vault ask", "" },
                { "all but one", "s * work vault deny\ns * @anyvm vault allow",
                  "2 allows everything but what is denied before, as by line 1: a domain made later is allowed. Say "
                  "who "
                  "may instead\n" },
                { "a service that nobody has", "gone * work vault allow",
                  "1 no domain of this host has a service 'gone'\n" },
                { "a service that nobody has, twice",
                  "gone +x work vault allow\ngone * work dvm ask\ns * work work deny",
                  "1 no domain of this host has a service 'gone'\n" },
                { "a service of another host", "gone * work far allow", "" },
                { "a service of both", "gone * work far allow\ngone * work * ask",
                  "2 no domain of this host has a service 'gone'\n" },
                { "a redirection to another host", "gone * work vault allow target=far", "" },
                { "denying one that nobody has", "gone * work vault deny", "" },
        };
        PolicySystem *system = world_system();

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(policy_unrefp) Policy *policy = world_policy(cases[i].policy);
                _cleanup_(diagnostics_deinit) Diagnostics findings = DIAGNOSTICS_INIT;
                char got[4096] = "";

                assert_int_equal(policy_review(policy, system->facts,
                                               &(PolicyReviewOptions){ .has_service = has_service }, &findings),
                                 0);
                for (size_t k = 0; k < findings.n_entries; ++k)
                        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%u %s\n", findings.entries[k].line,
                                 findings.entries[k].text);
                if (strcmp(got, cases[i].expect) != 0)
                        fail_msg("%s: got\n%s", cases[i].name, got);
        }
        policy_system_free(system);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_review) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
