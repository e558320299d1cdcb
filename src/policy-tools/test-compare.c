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
                { "one more", "", "s * work vault allow", "work -> vault s+*\n- deny\n+ allow target=vault\n", 1 },
                { "another account", "s * work vault allow", "s * work vault allow user=u",
                  "work -> vault s+*\n- allow target=vault\n+ allow target=vault user=u\n", 1 },
                { "one argument", "s * work vault allow", "s +x work vault deny\ns * work vault allow",
                  "work -> vault s+x\n- allow target=vault\n+ deny\n", 1 },
                { "no argument", "s * work vault allow", "s + work vault deny\ns * work vault allow",
                  "work -> vault s\n- allow target=vault\n+ deny\n", 1 },
                { "every service is told once", "s * work relay deny", "* * work vault allow\ns * work relay deny",
                  "work -> vault *\n- deny\n+ allow target=vault\n", 1 },
                { "calls of dom0 are free", "", "s * dom0 vault allow", "", 0 },
        };
        PolicySystem *system = world_system();

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(policy_unrefp) Policy *old_policy = world_policy(cases[i].old_text);
                _cleanup_(policy_unrefp) Policy *new_policy = world_policy(cases[i].new_text);
                _cleanup_free_ char *text = NULL;
                size_t n_text = 0, n = 99;
                FILE *stream = open_memstream(&text, &n_text);

                assert_int_equal(policy_compare(stream, old_policy, new_policy, system->facts, &n), 0);
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
