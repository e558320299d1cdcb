/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/directive.h"

#define ALL ~0U
#define OLD BIT(POLICY_DIRECTIVE_INCLUDE)

static void test_parse(void **state) {
        static const struct {
                const char *text;
                unsigned kinds;
                PolicyDirectiveKind kind;
                const char *path, *message;
        } cases[] = {
                { "!include a/b", ALL, POLICY_DIRECTIVE_INCLUDE, "a/b", NULL },
                { "!include a/b", OLD, POLICY_DIRECTIVE_INCLUDE, "a/b", NULL },
                { "!include-dir\td", ALL, POLICY_DIRECTIVE_INCLUDE_DIR, "d", NULL },
                { "!include-dir d", OLD, 0, NULL, "invalid directive" },
                { "!include-service s +x f", ALL, POLICY_DIRECTIVE_INCLUDE_SERVICE, "f", NULL },
                { "!include-service s x f", ALL, 0, NULL, "argument 'x' does not start with +" },
                { "!include-service s +x", ALL, 0, NULL, "invalid number of params" },
                { "!compat-4.0", ALL, POLICY_DIRECTIVE_COMPAT, "", NULL },
                { "!compat-4.0", OLD, 0, NULL, "invalid directive" },
                { "!compat-4.0 x", ALL, 0, NULL, "invalid number of params" },
                { "!include", ALL, 0, NULL, "invalid number of params" },
                { "!include a b", ALL, 0, NULL, "invalid number of params" },
                { "!", ALL, 0, NULL, "invalid directive" },
                { "! include a", ALL, 0, NULL, "invalid directive" },
                { "!Include a", ALL, 0, NULL, "invalid directive" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                _cleanup_(policy_atoms_deinit) PolicyAtoms atoms = POLICY_ATOMS_INIT;
                PolicyContext context = { .atoms = &atoms, .reterr = &diagnostics, .line = 1 };
                PolicyDirective directive;
                int r;

                assert_int_equal(policy_atoms_intern(&atoms, POLICY_SLICE("f"), &context.path), 0);
                r = policy_directive_parse(&context, cases[i].kinds, policy_slice(cases[i].text), &directive);
                if (cases[i].message) {
                        if (r != POLICY_RULE_E_SYNTAX || strcmp(diagnostics.entries[0].text, cases[i].message) != 0)
                                fail_msg("%s: got %d", cases[i].text, r);
                        continue;
                }
                if (r != 0 || directive.kind != cases[i].kind)
                        fail_msg("%s: got %d", cases[i].text, r);
                assert_true(policy_slice_equal(directive.path, policy_slice(cases[i].path)));
        }
}

static void test_translate(void **state) {
        static const char *const cases[][2] = {
                { "", "" },
                { "$anyvm $default ask,user=x", "@anyvm @default ask user=x" },
                { "$include:a,b", "!include a b" },
                { "a$include:$include:b", "a!include !include b" },
                { "$include", "@include" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *text = policy_old_translate(policy_slice(cases[i][0]));

                assert_string_equal(text, cases[i][1]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_translate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
