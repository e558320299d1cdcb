/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy-tools/compare.h"
#include "policy-tools/test-world.h"

static void test_compare(void **state) {
        static const struct {
                const char *name, *old_text, *new_text, *expect;
                size_t n;
        } cases[] = {
                { "the same rules", "s * work vault allow", "s * work vault allow", "", 0 },
                { "other lines, the same decisions", "s * work vault allow\ns * work vault deny",
                  "# x\ns +x work vault allow\ns * @tag:office vault allow", "", 0 },
                { "nothing at all", "", "", "", 0 },
                { "one more", "", "s * work vault allow", "work -> vault s+*\n- deny\n+ allow\n", 1 },
                { "another account", "s * work vault allow", "s * work vault allow user=u",
                  "work -> vault s+*\n- allow\n+ allow user=u\n", 1 },
                { "one argument", "s * work vault allow", "s +x work vault deny\ns * work vault allow",
                  "work -> vault s+x\n- allow\n+ deny\n", 1 },
                { "no argument", "s * work vault allow", "s + work vault deny\ns * work vault allow",
                  "work -> vault s\n- allow\n+ deny\n", 1 },
                { "every service is told once", "s * work relay deny", "* * work vault allow\ns * work relay deny",
                  "work -> vault *\n- deny\n+ allow\n", 1 },
                { "another target", "s * work vault allow", "s * work vault allow target=relay",
                  "work -> vault s+*\n- allow\n+ allow target=relay\n", 1 },
                { "several together", "", "s * @tag:office vault allow\ns * vault work allow\ns * work dvm allow\n",
                  "work -> vault, dvm s+*\n- deny\n+ allow\nvault -> work s+*\n- deny\n+ allow\n", 3 },
                { "several sources together", "", "s * work dvm allow\ns * vault dvm allow",
                  "work, vault -> dvm s+*\n- deny\n+ allow\n", 2 },
                { "a relay", "", "s * work far allow", "work -> far s+*\n- deny\n+ allow relay=relay\n", 1 },
                { "a question", "", "s * work vault ask", "work -> vault s+*\n- deny\n+ ask targets=vault\n", 1 },
                { "a question with many choices", "", "s * work * ask\n",
                  "work -> dom0, work, vault, dvm, relay, far, @dispvm, @dispvm:dvm, @default s+*\n- deny\n"
                  "+ ask targets=@dispvm:dvm,dom0,dvm,far,… (6)\n",
                  9 },
                { "another choice", "s * work vault ask\ns * work dvm ask", "s * work vault ask\ns * work relay ask",
                  "work -> vault s+*\n- ask (no longer offered: dvm)\n+ ask (now offered: relay)\n"
                  "work -> dvm s+*\n- ask targets=dvm,vault\n+ deny\n"
                  "work -> relay s+*\n- deny\n+ ask targets=relay,vault\n",
                  3 },
                { "another choice is preselected", "s * work vault ask", "s * work vault ask default_target=vault",
                  "work -> vault s+*\n- ask\n+ ask default_target=vault\n", 1 },
                { "calls of dom0 are free", "", "s * dom0 vault allow", "", 0 },
        };
        PolicySystem *system = world_system();

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(policy_unrefp) Policy *old_policy = world_policy(cases[i].old_text);
                _cleanup_(policy_unrefp) Policy *new_policy = world_policy(cases[i].new_text);
                _cleanup_free_ char *text = NULL;
                size_t n_text = 0, n = 99;
                FILE *stream = open_memstream(&text, &n_text);

                assert_int_equal(policy_compare(stream, old_policy, new_policy, system, &n), 0);
                fclose(stream);
                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, text);
                assert_int_equal(n, cases[i].n);
        }
        policy_system_free(system);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_compare) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
