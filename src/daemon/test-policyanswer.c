/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policyanswer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

#define ALLOW "result=allow\nuser=u\ntarget=t\nautostart=True\nrequested_target=r\n"

enum { MALFORMED, DENY, ALLOWED };

static void test_parse(void **state) {
        static const struct {
                const char *name, *text;
                size_t n; /* 0: all of it */
                int expect;
        } cases[] = {
                { "allow", ALLOW, 0, ALLOWED },
                { "without the last newline", "result=deny", 0, DENY },
                { "deny", "result=deny\n", 0, DENY },
                { "A118: two newlines at the end", "result=deny\n\n", 0, MALFORMED },
                { "an empty line first", "\nresult=deny\n", 0, MALFORMED },
                { "nothing", "", 0, MALFORMED },
                { "a newline", "\n", 0, MALFORMED },
                { "no result", "user=u\ntarget=t\nautostart=True\nrequested_target=r\n", 0, MALFORMED },
                { "another result", "result=ask\n", 0, MALFORMED },
                { "an empty result", "result=\n", 0, MALFORMED },
                { "a line without =", "result=deny\nfoo\n", 0, MALFORMED },
                { "an unknown key", "result=deny\nfoo=bar\nfoo=bar\n=x\n", 0, DENY },
                { "a key twice", "result=deny\nresult=deny\n", 0, MALFORMED },
                { "another key twice", ALLOW "service=s\nservice=s\n", 0, MALFORMED },
                { "allow without a user", "result=allow\ntarget=t\nautostart=True\nrequested_target=r\n", 0,
                  MALFORMED },
                { "without a target", "result=allow\nuser=u\nautostart=True\nrequested_target=r\n", 0, MALFORMED },
                { "without autostart", "result=allow\nuser=u\ntarget=t\nrequested_target=r\n", 0, MALFORMED },
                { "without the requested target", "result=allow\nuser=u\ntarget=t\nautostart=True\n", 0, MALFORMED },
                { "A119: deny with a target", "result=deny\ntarget=t\n", 0, MALFORMED },
                { "deny with a user", "result=deny\nuser=t\n", 0, MALFORMED },
                { "deny with autostart", "result=deny\nautostart=True\n", 0, MALFORMED },
                { "deny with a requested target", "result=deny\nrequested_target=r\n", 0, MALFORMED },
                { "A119: deny with a uuid", "result=deny\ntarget_uuid=uuid:x\n", 0, DENY },
                { "A120: lower case", "result=allow\nuser=u\ntarget=t\nautostart=true\nrequested_target=r\n", 0,
                  MALFORMED },
                { "False", "result=allow\nuser=u\ntarget=t\nautostart=False\nrequested_target=r\n", 0, ALLOWED },
                { "any order", "requested_target=r\nautostart=True\ntarget=t\nuser=u\nresult=allow\n", 0, ALLOWED },
                { "NUL", "result=deny\n\0x=y\n", 17, MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                size_t n = cases[i].n ? cases[i].n : strlen(cases[i].text);
                static PolicyAnswer answer;
                int got = MALFORMED;

                if (policy_answer_parse(cases[i].text, n, &answer) == 0)
                        got = answer.allow ? ALLOWED : DENY;
                if (got != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, got, cases[i].expect);
        }
}

static void test_values(void **state) {
        static const char text[] = "result=allow\nuser=DEFAULT\ntarget=@dispvm:base\ntarget_uuid=@dispvm:uuid:1\n"
                                   "autostart=False\nrequested_target=\nservice=a.B+c=d\npolicy_source=far\n";
        static PolicyAnswer answer;

        assert_int_equal(policy_answer_parse(text, sizeof(text) - 1, &answer), 0);
        assert_string_equal(answer.user, "DEFAULT");
        assert_string_equal(answer.target, "@dispvm:base");
        assert_string_equal(answer.target_uuid, "@dispvm:uuid:1");
        assert_string_equal(answer.requested_target, "");
        assert_string_equal(answer.service, "a.B+c=d");
        assert_string_equal(answer.policy_source, "far");
        assert_false(answer.autostart);

        assert_int_equal(policy_answer_parse(ALLOW, sizeof(ALLOW) - 1, &answer), 0);
        assert_null(answer.target_uuid);
        assert_null(answer.service);
        assert_null(answer.policy_source);
        assert_true(answer.autostart);
}

static void test_length(void **state) {
        static char text[POLICY_ANSWER_MAX + 1];
        static PolicyAnswer answer;

        memset(text, 'x', sizeof(text));
        memcpy(text, "result=deny\nx=", strlen("result=deny\nx="));
        assert_int_equal(policy_answer_parse(text, POLICY_ANSWER_MAX, &answer), 0);
        assert_int_equal(policy_answer_parse(text, POLICY_ANSWER_MAX + 1, &answer), POLICY_ANSWER_E_MALFORMED);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
