/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/rule.h"

typedef struct Fixture {
        PolicyAtoms atoms;
        Diagnostics diagnostics;
        PolicyContext context;
} Fixture;

static void fixture_init(Fixture *fixture) {
        *fixture = (Fixture){};
        fixture->context.atoms = &fixture->atoms;
        fixture->context.reterr = &fixture->diagnostics;
        fixture->context.line = 7;
        assert_int_equal(policy_atoms_intern(&fixture->atoms, POLICY_SLICE("f.policy"), &fixture->context.path), 0);
}

static void fixture_deinit(Fixture *fixture) {
        diagnostics_deinit(&fixture->diagnostics);
        policy_atoms_deinit(&fixture->atoms);
}

/* The canonical text of each, which parses to the same rule again. */
static void test_accept(void **state) {
        static const struct {
                const char *line, *expect;
        } cases[] = {
                { "s.Go * desk web allow", "s.Go\t*\tdesk\tweb\tallow" },
                { "s.Go + desk web ask", "s.Go\t+\tdesk\tweb\task" },
                { "s-G_o.9 +a+b desk web deny", "s-G_o.9\t+a+b\tdesk\tweb\tdeny" },
                { "* * * * deny", "*\t*\t*\t*\tdeny" },
                { "s.Go * @anyvm @anyvm allow", "s.Go\t*\t@anyvm\t@anyvm\tallow" },
                { "s.Go * @adminvm @adminvm allow", "s.Go\t*\t@adminvm\t@adminvm\tallow" },
                { "s.Go * @type:AppVM @type:DispVM ask", "s.Go\t*\t@type:AppVM\t@type:DispVM\task" },
                { "s.Go * @tag:a @tag:b ask", "s.Go\t*\t@tag:a\t@tag:b\task" },
                { "s.Go * @dispvm:a @dispvm:b ask", "s.Go\t*\t@dispvm:a\t@dispvm:b\task" },
                { "s.Go * @dispvm:@tag:a @dispvm:@tag:b ask", "s.Go\t*\t@dispvm:@tag:a\t@dispvm:@tag:b\task" },
                { "s.Go * uuid:1 @dispvm ask", "s.Go\t*\tuuid:1\t@dispvm\task" },
                { "s.Go * desk @default ask", "s.Go\t*\tdesk\t@default\task" },
                { "s.Go * desk @default allow target=mail", "s.Go\t*\tdesk\t@default\tallow target=mail" },
                { "s.Go * desk web allow user=u=v", "s.Go\t*\tdesk\tweb\tallow user=u=v" },
                { "s.Go * desk web allow user=", "s.Go\t*\tdesk\tweb\tallow user=" },
                { "s.Go * desk web allow notify=yes", "s.Go\t*\tdesk\tweb\tallow notify=yes" },
                { "s.Go * desk web allow notify=no", "s.Go\t*\tdesk\tweb\tallow" },
                { "s.Go * desk web ask notify=yes", "s.Go\t*\tdesk\tweb\task notify=yes" },
                { "s.Go * desk web deny notify=yes", "s.Go\t*\tdesk\tweb\tdeny" },
                { "s.Go * desk web deny notify=no", "s.Go\t*\tdesk\tweb\tdeny notify=no" },
                { "s.Go * desk web allow autostart=no", "s.Go\t*\tdesk\tweb\tallow autostart=no" },
                { "s.Go * desk web ask autostart=yes", "s.Go\t*\tdesk\tweb\task" },
                { "s.Go * desk web ask autostart=no notify=yes user=u default_target=@adminvm target=@dispvm:x",
                  "s.Go\t*\tdesk\tweb\task target=@dispvm:x default_target=@adminvm user=u notify=yes autostart=no" },
                { "s.Go * desk web ask default_target=@dispvm", "s.Go\t*\tdesk\tweb\task default_target=@dispvm" },
                { "s.Go * !x *x ask", "s.Go\t*\t!x\t*x\task" },
                { "s.Go\xc2\xa0*\xe2\x80\x83"
                  "desk web\tallow",
                  "s.Go\t*\tdesk\tweb\tallow" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Fixture fixture;
                PolicyRule rule, again;
                _cleanup_free_ char *text = NULL;
                size_t n = 0;

                fixture_init(&fixture);
                if (policy_rule_parse(&fixture.context, policy_slice(cases[i].line), &rule) != 0)
                        fail_msg("%s: %s", cases[i].line, fixture.diagnostics.entries[0].text);
                assert_string_equal(rule.path->text, "f.policy");
                assert_int_equal(rule.line, 7);
                text = policy_rule_format(&rule, &n);
                assert_non_null(text);
                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].line, text);
                assert_int_equal(policy_rule_parse(&fixture.context, (PolicySlice){ text, n }, &again), 0);
                assert_true(policy_rule_equal(&rule, &again));
                assert_int_equal(fixture.diagnostics.n_entries, 0);
                fixture_deinit(&fixture);
        }
}

/* clang-format off */
static const struct {
        const char *line, *expect, *word; /* which is meant */
} rejected[] = {
        /* the order of the specification's table: of several errors in a line the first of the table is reported */
        { "s.Go * desk web", "wrong number of fields", "s.Go * desk web" },
        { "allow", "wrong number of fields", "allow" },
        { "s/Go y @bad @bad bad bad", "service 's/Go' contains invalid characters: ('/',)", "s/Go" },
        { "s?!G?o * desk web allow", "service 's?!G?o' contains invalid characters: ('!', '?')", "s?!G?o" },
        { "s+x * desk web allow", "service 's+x' contains invalid characters: ('+',)", "s+x" },
        { "** * desk web allow", "service '**' contains invalid characters: ('*',)", "**" },
        { "s\xef\xbb\xbf * desk web allow", "service 's\\ufeff' contains invalid characters: ('\\ufeff',)", "s\xef\xbb\xbf" },
        { "s.Go x/y desk web allow", "argument 'x/y' contains invalid characters: ('/',)", "x/y" },
        { "s.Go +* desk web allow", "argument '+*' contains invalid characters: ('*',)", "+*" },
        { "s.Go x desk web allow", "argument 'x' does not start with +", "x" },
        { "* x desk web allow", "argument 'x' does not start with +", "x" },
        { "* + @bad web allow", "only * argument allowed for * service", "+" },
        { "s.Go * @default @bad bad", "invalid source token: '@default'", "@default" },
        { "s.Go * desk @tag: bad", "invalid empty @tag: token: '@tag:'", "@tag:" },
        { "s.Go * desk web permit user", "invalid action: permit", "permit" },
        { "s.Go * desk web Allow", "invalid action: Allow", "Allow" },
        { "s.Go * desk web allow,user=root", "invalid action: allow,user=root", "allow,user=root" },
        { "s.Go * desk web a\x1b[0m", "invalid action: a\\x1b[0m", "a\x1b[0m" },
        { "s.Go * desk web allow user = x", "invalid action parameter syntax: 'user'", "user" },
        { "s.Go * desk web allow # fine", "invalid action parameter syntax: '#'", "#" },
        { "s.Go * desk web allow user=x notify=maybe oops", "invalid action parameter syntax: 'oops'", "oops" },
        { "s.Go * desk web allow bogus=1 bogus=1", "parameter given twice: 'bogus'", "bogus=1" },
        { "s.Go * desk web allow user=a user=b x", "parameter given twice: 'user'", "user=b" },
        { "s.Go * desk web allow notify=on bogus=1", "'notify' is 'on', but can be only 'yes' or 'no'", "notify=on" },
        { "s.Go * desk web allow notify=Yes", "'notify' is 'Yes', but can be only 'yes' or 'no'", "notify=Yes" },
        { "s.Go * desk web allow notify=", "'notify' is '', but can be only 'yes' or 'no'", "notify=" },
        { "s.Go * desk web allow autostart=x notify=x", "'notify' is 'x', but can be only 'yes' or 'no'", "notify=x" },
        { "s.Go * desk web deny autostart=maybe", "'autostart' is 'maybe', but can be only 'yes' or 'no'", "autostart=maybe" },
        { "s.Go * desk web deny autostart=no", "invalid parameters for action Deny: ['autostart=no']", "autostart=no" },
        { "s.Go * desk web deny user=u", "invalid parameters for action Deny: ['user=u']", "user=u" },
        { "s.Go * desk web deny target=web", "invalid parameters for action Deny: ['target=web']", "target=web" },
        { "s.Go * desk web allow default_target=web", "invalid parameters for action Allow: ['default_target=web']", "default_target=web" },
        { "s.Go * desk web ask bogus=1 user=u", "invalid parameters for action Ask: ['bogus=1', 'user=u']", "bogus=1" },
        { "s.Go * desk web allow =x", "invalid parameters for action Allow: ['=x']", "=x" },
        { "s.Go * desk web allow bogus=1 target=@anyvm",
          "invalid parameters for action Allow: ['bogus=1', 'target=@anyvm']", "bogus=1" },
        { "s.Go * desk web allow target=", "invalid empty redirect token", "target=" },
        { "s.Go * desk web allow target=*", "invalid redirect token: '*'", "target=*" },
        { "s.Go * desk web ask default_target=* target=@tag:x", "invalid redirect token: '@tag:x'", "target=@tag:x" },
        { "s.Go * desk web ask default_target=", "invalid empty redirect token", "default_target=" },
        { "s.Go * desk @default allow", "allow action for @default rule must specify target= option", "@default" },
        { "s.Go * desk @default allow user=x", "allow action for @default rule must specify target= option", "@default" },
        { "s.Go * desk @default allow target=@bad", "invalid redirect token: '@bad'", "target=@bad" },
};
/* clang-format on */

static void check_word(const char *line, const Diagnostic *entry, const char *word) {
        if (entry->n_mark != strlen(word) || strncmp(line + entry->mark - 1, word, entry->n_mark) != 0)
                fail_msg("%s: marked %u, %u", line, entry->mark, entry->n_mark);
}

static void test_reject(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rejected); ++i) {
                Fixture fixture;
                PolicyRule rule;

                fixture_init(&fixture);
                fixture.context.whole = policy_slice(rejected[i].line);
                if (policy_rule_parse(&fixture.context, policy_slice(rejected[i].line), &rule) != POLICY_RULE_E_SYNTAX)
                        fail_msg("%s: accepted", rejected[i].line);
                assert_int_equal(fixture.diagnostics.n_entries, 1);
                assert_string_equal(fixture.diagnostics.entries[0].path, "f.policy");
                assert_int_equal(fixture.diagnostics.entries[0].line, 7);
                if (strcmp(fixture.diagnostics.entries[0].text, rejected[i].expect) != 0)
                        fail_msg("%s: %s", rejected[i].line, fixture.diagnostics.entries[0].text);
                check_word(rejected[i].line, &fixture.diagnostics.entries[0], rejected[i].word);
                fixture_deinit(&fixture);
        }
}

static void test_old(void **state) {
        Fixture fixture;
        PolicySubject subject;
        PolicyRule rule;
        _cleanup_free_ char *text = NULL;

        fixture_init(&fixture);
        assert_int_equal(policy_subject_parse(&fixture.context, POLICY_SLICE("s.Go"), POLICY_SLICE("+x"), &subject), 0);
        assert_int_equal(policy_rule_parse_old(&fixture.context, &subject, POLICY_SLICE("desk web"), &rule),
                         POLICY_RULE_E_SYNTAX);
        assert_int_equal(policy_rule_parse_old(&fixture.context, &subject, POLICY_SLICE("desk web ask user=u"), &rule),
                         0);
        text = policy_rule_format(&rule, NULL);
        assert_string_equal(text, "s.Go\t+x\tdesk\tweb\task user=u");
        fixture_deinit(&fixture);
}

/* NUL is an ordinary character: it neither ends a name nor makes two names equal. */
static void test_nul(void **state) {
        Fixture fixture;
        PolicyRule rule, other;

        fixture_init(&fixture);
        assert_int_equal(policy_rule_parse(&fixture.context, POLICY_SLICE("s.Go * desk\0x web allow"), &rule), 0);
        assert_int_equal(policy_rule_parse(&fixture.context, POLICY_SLICE("s.Go * desk web allow"), &other), 0);
        assert_int_equal(rule.source.value->n, 6);
        assert_false(policy_rule_equal(&rule, &other));
        assert_int_equal(policy_rule_parse(&fixture.context, POLICY_SLICE("s\0 * desk web allow"), &rule),
                         POLICY_RULE_E_SYNTAX);
        assert_string_equal(fixture.diagnostics.entries[0].text,
                            "service 's\\x00' contains invalid characters: ('\\x00',)");
        fixture_deinit(&fixture);
}

static void test_equal(void **state) {
        static const char *const lines[] = {
                "s.Go * desk web ask",
                "s.No * desk web ask",
                "* * desk web ask",
                "s.Go + desk web ask",
                "s.Go * mail web ask",
                "s.Go * desk @tag:web ask",
                "s.Go * desk web allow",
                "s.Go * desk web ask user=u",
                "s.Go * desk web ask user=",
                "s.Go * desk web ask notify=yes",
                "s.Go * desk web ask autostart=no",
                "s.Go * desk web ask target=web",
                "s.Go * desk web ask default_target=web",
        };
        Fixture fixture;
        PolicyRule rules[ARRAY_SIZE(lines)];

        fixture_init(&fixture);
        for (size_t i = 0; i < ARRAY_SIZE(lines); ++i)
                assert_int_equal(policy_rule_parse(&fixture.context, policy_slice(lines[i]), &rules[i]), 0);
        for (size_t i = 0; i < ARRAY_SIZE(lines); ++i)
                for (size_t k = 0; k < ARRAY_SIZE(lines); ++k)
                        if (policy_rule_equal(&rules[i], &rules[k]) != (i == k))
                                fail_msg("%s and %s", lines[i], lines[k]);
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accept), cmocka_unit_test(test_reject), cmocka_unit_test(test_old),
                cmocka_unit_test(test_nul),    cmocka_unit_test(test_equal),
        };

        return cmocka_run_group_tests_name("policy/rule", tests, NULL, NULL);
}
