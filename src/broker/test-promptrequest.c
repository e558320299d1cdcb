/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/promptrequest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>

/* The example of the specification (7.2), and what is ours behind it. */
static void test_request(void **state) {
        static const char expect[] =
                "{\"source\": \"desk\", \"service\": \"s.Go\", \"argument\": \"+x\", \"targets\": [\"mail\", "
                "\"@dispvm:dvm-net\"], \"default_target\": \"mail\", \"icons\": {\"dom0\": \"adminvm-black\", "
                "\"desk\": \"appvm-green\", \"dvm-net\": \"appvm-red\", \"@dispvm:dvm-net\": \"dispvm-red\"}, "
                "\"prompt\": \"0123\", \"allow_for\": [60, 300], \"quiet_for\": [], \"timeout\": 120}";
        static const PolicyDomainInput inputs[] = {
                { .name = "dom0", .icon = "adminvm-black" },
                { .name = "desk", .icon = "appvm-green" },
                { .name = "dvm-net", .icon = "appvm-red", .template_for_dispvms = POLICY_FACT_YES },
        };
        char *choices[] = { (char[]){ "mail" }, (char[]){ "@dispvm:dvm-net" } };
        PolicyFacts *facts;
        PolicyQuestion question = { .choices = choices, .n_choices = 2, .default_choice = choices[0] };
        _cleanup_free_ char *text = NULL;
        size_t n;

        assert_int_equal(policy_facts_new(inputs, ARRAY_SIZE(inputs), &facts), 0);
        question.facts = facts;
        question.resolution.source.domain = policy_facts_lookup(facts, POLICY_SLICE("desk"));
        question.resolution.service = POLICY_SLICE("s.Go");
        question.resolution.argument = POLICY_SLICE("+x");
        assert_int_equal(prompt_request_format(&(PromptRequest){ .question = &question,
                                                                 .prompt = "0123",
                                                                 .allow_for = &(AskDurations){ { 60, 300 }, 2 },
                                                                 .quiet_for = &(AskDurations){},
                                                                 .timeout_sec = 120 },
                                               &text, &n),
                         0);
        assert_string_equal(text, expect);
        assert_int_equal(n, strlen(expect));
        policy_facts_unref(facts);
}

static void test_notice(void **state) {
        static const struct {
                PromptNotice notice;
                const char *expect;
        } cases[] = {
                { { "deny", "s.Go", "desk", "web", 1 },
                  "{\"resolution\": \"deny\", \"service\": \"s.Go\", \"argument\": \"+\", \"source\": \"desk\", "
                  "\"target\": \"web\"}" },
                { { "allow", "s.Go+a+b", "desk", "@dispvm", 7 },
                  "{\"resolution\": \"allow\", \"service\": \"s.Go\", \"argument\": \"+a+b\", \"source\": \"desk\", "
                  "\"target\": \"@dispvm\", \"count\": 7}" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *text = NULL;
                size_t n;

                assert_int_equal(prompt_notice_format(&cases[i].notice, &text, &n), 0);
                assert_string_equal(text, cases[i].expect);
        }
}

/* Texts of rules are UTF-8, the request is ASCII; a decoder gets back what was meant. */
static void test_texts(void **state) {
        static const struct {
                const char *name, *text, *expect, *means;
        } cases[] = {
                { "quotes and backslashes", "a\"b\\c", "\"a\\\"b\\\\c\"", "a\"b\\c" },
                { "control characters", "\x01\t\n\r\b\f\x1b", "\"\\u0001\\t\\n\\r\\b\\f\\u001b\"",
                  "\x01\t\n\r\b\f\x1b" },
                { "two bytes", "caf\xc3\xa9", "\"caf\\u00e9\"", "caf\xc3\xa9" },
                { "three bytes", "\xe2\x80\xae", "\"\\u202e\"", "\xe2\x80\xae" },
                { "four bytes", "\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
                { "no UTF-8",
                  "a\xff"
                  "b",
                  "\"a\\ufffdb\"",
                  "a\xef\xbf\xbd"
                  "b" },
                { "an overlong form", "\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"",
                  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
                { "a surrogate", "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
                { "cut short", "\xe2\x80", "\"\\ufffd\\ufffd\"", "\xef\xbf\xbd\xef\xbf\xbd" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                PromptNotice notice = { "deny", "s.Go", "desk", cases[i].text, 1 };
                _cleanup_free_ char *text = NULL;
                struct json_object *object, *target;
                size_t n;

                assert_int_equal(prompt_notice_format(&notice, &text, &n), 0);
                if (!strstr(text, cases[i].expect))
                        fail_msg("%s: got %s", cases[i].name, text);
                object = json_tokener_parse(text);
                assert_true(json_object_object_get_ex(object, "target", &target));
                if (strcmp(json_object_get_string(target), cases[i].means) != 0)
                        fail_msg("%s: means %s", cases[i].name, json_object_get_string(target));
                json_object_put(object);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_notice),
                cmocka_unit_test(test_texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
