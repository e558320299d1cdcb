/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy-tools/explain.h"
#include "policy-tools/test-world.h"

#define BEFORE "\nRules before it that came close:\n"
#define CLOSE  "\nRules that came close:\n"
#define LATE   "\nRules that match too, but come later:\n"
#define CALL   "\nThe call becomes:\n"

static char *explain(const char *policy_text, const char *source, const char *target, const char *service) {
        PolicySystem *system = world_system();
        Policy *policy = world_policy(policy_text);
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        assert_int_equal(policy_explain(stream, policy, system,
                                        &(PolicyRequest){ .source = policy_slice(source),
                                                          .target = policy_slice(target),
                                                          .service = policy_slice(service) }),
                         0);
        fclose(stream);
        policy_unref(policy);
        policy_system_free(system);
        return text;
}

static void test_explain(void **state) {
        static const struct {
                const char *name, *policy, *source, *target, *service, *expect;
        } cases[] = {
                { "allowed", "s * work vault allow user=u\ns * * * deny", "work", "vault", "s+x",
                  "allow target=vault user=u\n  p:1: s * work vault allow user=u\n" CALL
                  "  source   'work'\n  target   vault\n  user     u\n  service  's+x'\n" LATE
                  "  p:2: s * * * deny\n" },
                { "through a relay", "s * work far allow", "work", "far", "s",
                  "allow target=far relay=relay service=net.Carry+far+s+\n  p:1: s * work far allow\n" CALL
                  "  source   'work'\n  target   far\n  user     DEFAULT (the target's own)\n  relay    relay\n"
                  "  service  net.Carry+far+s+ (at the relay)\n" },
                { "nothing came close", "t * vault work allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" },
                { "letters", "S * work vault allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: S * work vault allow\n"
                  "    no: its service is 'S': upper and lower case matter\n" },
                { "the argument", "s +x work vault allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: s +x work vault allow\n"
                  "    no: its argument is '+x', the call has none\n" },
                { "the source's name", "s * relay vault allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: s * relay vault allow\n"
                  "    no: its source is 'relay', the caller is 'work'\n" },
                { "the source's tag", "s * @tag:x vault allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: s * @tag:x vault allow\n"
                  "    no: its source needs the tag 'x'; 'work' has only 'office'\n" },
                { "the target's tag", "s * work @tag:x allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: s * work @tag:x allow\n"
                  "    no: its target needs the tag 'x'; 'vault' has no tags\n" },
                { "the target's type", "s * work @type:X allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: s * work @type:X allow\n"
                  "    no: its target needs the type 'X'; 'vault' is of type 'AppVM'\n" },
                { "a rule about nobody", "s * work valt allow", "work", "vault", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: s * work valt allow\n"
                  "    no: its target is 'valt' (no domain of this host), the call is for 'vault'\n" },
                { "a disposable is not its base", "s * work dvm allow", "work", "@dispvm:dvm", "s",
                  "deny\n  no matching rule found\n" CLOSE "  p:1: s * work dvm allow\n"
                  "    no: its target is 'dvm', the call is for @dispvm:'dvm'\n" },
                { "nobody in particular", "s * work @default deny", "work", "nix", "s",
                  "deny\n  p:1: s * work @default deny\n"
                  "  note: qrexec: target 'nix' does not exist, using @default instead\n" },
                { "before the rule", "s +x work vault deny\ns * work vault deny", "work", "vault", "s",
                  "deny\n  p:2: s * work vault deny\n" BEFORE "  p:1: s +x work vault deny\n"
                  "    no: its argument is '+x', the call has none\n" },
                { "a question", "s * work @anyvm ask target=vault default_target=vault", "work", "relay", "s",
                  "ask\n  p:1: s * work @anyvm ask target=vault default_target=vault\n"
                  "\nThe user is asked to choose:\n  'vault' (preselected)\n" },
                { "a question about another host", "s * work far ask user=u\ns * work vault allow", "work", "far", "s",
                  "ask\n  p:1: s * work far ask user=u\n"
                  "\nThe user is asked to choose:\n  'far', through 'relay' as 'net.Carry+far+s+'\n  'vault'\n"
                  "  the service runs as 'u' (on other hosts, as they say)\n" },
                { "a question with an answer that is refused", "s * work vault ask target=nix", "work", "vault", "s",
                  "ask\n  p:1: s * work vault ask target=nix\n"
                  "\nThe user is asked to choose:\n  'nix', and then refused: internal error: the target is not in the "
                  "inventory\n" },
                { "a caller that is not there", "s * * vault allow", "wrok", "vault", "s",
                  "allow target=vault\n  p:1: s * * vault allow\n  note: the caller 'wrok' is no domain of this "
                  "host\n" CALL
                  "  source   'wrok'\n  target   vault\n  user     DEFAULT (the target's own)\n  service  's'\n" },
                { "dom0", "s * * vault deny", "dom0", "vault", "s",
                  "deny\n  p:1: s * * vault deny\n  note: calls of dom0 are not subject to policy\n" },
                { "refused before any rule", "s * * * allow", "work", "@dispvm:vault", "s",
                  "deny\n  not a template for dispvm: vault\n" },
                { "a rule that cannot be used", "s * vault @dispvm:dvm allow", "vault", "@dispvm", "s",
                  "deny notify=no\n  p:1: s * vault @dispvm:dvm allow\n"
                  "  internal error: a rule needs a fact that the inventory lacks\n" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *text =
                        explain(cases[i].policy, cases[i].source, cases[i].target, cases[i].service);

                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: got\n%s", cases[i].name, text);
        }
}

/* Of many only some are shown, and how many more there are. */
static void test_limit(void **state) {
        char policy[1024] = "";
        _cleanup_free_ char *text = NULL;

        for (size_t i = 0; i < POLICY_EXPLAIN_RULES_MAX + 2; ++i)
                strcat(policy, "s * relay vault allow\n");
        text = explain(policy, "work", "vault", "s");
        assert_non_null(strstr(text, "  … and 2 more\n"));
        assert_non_null(strstr(text, "  p:10: "));
        assert_null(strstr(text, "  p:11: "));
}

static void test_matrix(void **state) {
        PolicySystem *system = world_system();
        Policy *policy = world_policy("s * work vault allow\ns * work @default allow target=vault\ns * relay work ask");
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        assert_int_equal(policy_explain_matrix(stream, policy, system, "s"), 0);
        fclose(stream);
        assert_string_equal(text, "SOURCE  dom0  work  vault  dvm  relay  far  @dispvm  @dispvm:dvm  @default\n"
                                  "work    -     -     allow  -    -      -    -        -            allow=vault\n"
                                  "vault   -     -     -      -    -      -    -        -            -\n"
                                  "dvm     -     -     -      -    -      -    -        -            -\n"
                                  "relay   -     ask   -      -    -      -    -        -            -\n"
                                  "far     -     -     -      -    -      -    -        -            -\n");
        free(text);
        policy_unref(policy);
        policy_system_free(system);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_explain),
                cmocka_unit_test(test_limit),
                cmocka_unit_test(test_matrix),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
