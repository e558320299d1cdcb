/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void test_decode(void **state) {
        static const struct {
                const char *name, *text;
                size_t n;
                int expect;
                bool allow;
                uint32_t sec;
                const char *target;
        } cases[] = {
#define GOOD(_name, _text, ...) { _name, _text, sizeof(_text) - 1, 0, __VA_ARGS__ }
#define BAD(_name, _text) \
        { _name, _text, sizeof(_text) - 1, ANSWER_E_MALFORMED, false, 0, NULL }
                GOOD("no", "deny", false, 0, NULL),
                GOOD("yes", "allow:vault", true, 0, "vault"),
                GOOD("a disposable", "allow:@dispvm:base", true, 0, "@dispvm:base"),
                GOOD("a uuid, with a colon", "allow:uuid:1", true, 0, "uuid:1"),
                GOOD("for a second", "allow-for:1:vault", true, 1, "vault"),
                GOOD("for 30 days", "allow-for:2592000:@dispvm:base", true, 2592000, "@dispvm:base"),
                GOOD("be quiet", "deny-for:300", false, 300, NULL),
                BAD("nothing", ""),
                BAD("deny and a newline (7.2)", "deny\n"),
                BAD("deny and more", "deny:vault"),
                BAD("a newline in the target", "allow:va\nult"),
                BAD("a NUL in the target", "allow:va\0ult"),
                BAD("no target", "allow:"),
                BAD("no colon", "allow"),
                BAD("another case", "Allow:vault"),
                BAD("a blank before", " allow:vault"),
                BAD("for no time", "allow-for:0:vault"),
                BAD("for more than 30 days", "allow-for:2592001:vault"),
                BAD("another spelling of a number", "allow-for:060:vault"),
                BAD("a signed number", "allow-for:+60:vault"),
                BAD("a time, no target", "allow-for:60:"),
                BAD("a time, no colon", "allow-for:60"),
                BAD("a target, no time", "allow-for::vault"),
                BAD("be quiet for no time", "deny-for:0"),
                BAD("be quiet for nothing", "deny-for:"),
                BAD("be quiet, and a target", "deny-for:60:vault"),
#undef GOOD
#undef BAD
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char again[ANSWER_MAX + 1];
                Answer answer;
                int r = answer_decode(cases[i].text, cases[i].n, &answer);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r)
                        continue;
                if (answer.allow != cases[i].allow || answer.sec != cases[i].sec)
                        fail_msg("%s: got %d for %u", cases[i].name, answer.allow, answer.sec);
                if (answer.allow && (answer.n_target != strlen(cases[i].target) ||
                                     memcmp(answer.target, cases[i].target, answer.n_target) != 0))
                        fail_msg("%s: got another target", cases[i].name);
                if (answer_encode(&answer, again) != cases[i].n || strcmp(again, cases[i].text) != 0)
                        fail_msg("%s: encoded as %s", cases[i].name, again);
        }
}

static void test_length(void **state) {
        static const char prefix[] = "allow:";
        char text[ANSWER_MAX + 2], again[ANSWER_MAX + 1];
        Answer answer;

        memset(text, 'x', sizeof(text));
        memcpy(text, prefix, strlen(prefix));
        assert_int_equal(answer_decode(text, ANSWER_MAX, &answer), 0);
        assert_int_equal(answer.n_target, ANSWER_MAX - strlen(prefix));
        assert_int_equal(answer_encode(&answer, again), ANSWER_MAX);
        assert_int_equal(answer_decode(text, ANSWER_MAX + 1, &answer), ANSWER_E_MALFORMED);
        ++answer.n_target;
        assert_int_equal(answer_encode(&answer, again), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
