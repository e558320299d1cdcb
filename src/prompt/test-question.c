/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* The example of the policy specification, 7.2: what upstream's programs send. */
#define UPSTREAM                                                                                        \
        "{\"source\": \"desk\", \"service\": \"s.Go\", \"argument\": \"+x\", \"targets\": [\"mail\", "  \
        "\"@dispvm:dvm-net\"], \"default_target\": \"mail\", \"icons\": {\"dom0\": \"adminvm-black\", " \
        "\"desk\": \"appvm-green\", \"mail\": \"appvm-yellow\", \"@dispvm:dvm-net\": \"dispvm-red\"}"

static void test_upstream(void **state) {
        static const char text[] = UPSTREAM "}";
        Question *question;

        assert_int_equal(question_decode(text, strlen(text), &question), 0);
        assert_string_equal(question->source, "desk");
        assert_string_equal(question->source_icon, "appvm-green");
        assert_string_equal(question->service, "s.Go");
        assert_string_equal(question_argument(question), "+x");
        assert_int_equal(question->n_entries, 2);
        assert_string_equal(question->entries[0].display, "Disposable VM (dvm-net)");
        assert_string_equal(question->entries[0].target, "@dispvm:dvm-net");
        assert_string_equal(question->entries[0].icon, "dispvm-red");
        assert_string_equal(question->entries[1].display, "mail");
        assert_int_equal(question->default_entry, 1);
        assert_null(question->problem);
        assert_int_equal(question->allow_for.n, 0);
        assert_string_equal(question->name, "");
        assert_int_equal(question_find(question, "mail"), 1);
        assert_int_equal(question_find(question, "mai"), -1);
        assert_int_equal(question_find(question, "Mail"), -1);
        question_free(question);
}

static void test_ours(void **state) {
        static const char text[] = UPSTREAM ", \"prompt\": \"0af\", \"allow_for\": [60, 3600], \"quiet_for\": [300], "
                                            "\"timeout\": 120}";
        static const struct {
                const char *answer;
                bool offered;
        } answers[] = {
                { "allow:mail", true },
                { "allow:@dispvm:dvm-net", true },
                { "allow:dom0", false },
                { "allow:mai", false },
                { "deny", true },
                { "allow-for:60:mail", true },
                { "allow-for:300:mail", false },
                { "allow-for:60:dom0", false },
                { "deny-for:300", true },
                { "deny-for:60", false },
        };
        Question *question;

        assert_int_equal(question_decode(text, strlen(text), &question), 0);
        assert_string_equal(question->name, "0af");
        assert_int_equal(question->timeout_sec, 120);
        for (size_t i = 0; i < ARRAY_SIZE(answers); ++i) {
                Answer answer;

                assert_int_equal(answer_decode(answers[i].answer, strlen(answers[i].answer), &answer), 0);
                if (question_offers(question, &answer) != answers[i].offered)
                        fail_msg("%s", answers[i].answer);
        }
        question_free(question);
}

#define QUESTION(_source, _service, _targets, _default, _icons)                                     \
        "{\"source\":" _source ",\"service\":" _service ",\"argument\":\"+\",\"targets\":" _targets \
        ",\"default_target\":" _default ",\"icons\":" _icons "}"
#define ICONS "{\"desk\":\"a-red\",\"mail\":\"b\"}"

static void test_default(void **state) {
        static const struct {
                const char *name, *text, *problem;
                int entry;
        } cases[] = {
                { "none", QUESTION("\"desk\"", "\"s\"", "[\"mail\"]", "\"\"", ICONS), NULL, -1 },
                { "one", QUESTION("\"desk\"", "\"s\"", "[\"mail\"]", "\"mail\"", ICONS), NULL, 0 },
                { "the source", QUESTION("\"desk\"", "\"s\"", "[\"mail\",\"desk\"]", "\"desk\"", ICONS),
                  "Source and target domains must not be the same.", -1 },
                { "not among the targets", QUESTION("\"desk\"", "\"s\"", "[]", "\"mail\"", ICONS),
                  "Domain 'mail' doesn't exist.", -1 },
                { "a uuid, which has no icon", QUESTION("\"desk\"", "\"s\"", "[\"uuid:1\"]", "\"uuid:1\"", ICONS),
                  "Domain 'uuid:1' doesn't exist.", -1 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Question *question;

                if (question_decode(cases[i].text, strlen(cases[i].text), &question))
                        fail_msg("%s: refused", cases[i].name);
                if (question->default_entry != cases[i].entry ||
                    (question->problem == NULL) != (cases[i].problem == NULL) ||
                    (question->problem && strcmp(question->problem, cases[i].problem) != 0))
                        fail_msg("%s: got %d, %s", cases[i].name, question->default_entry, question->problem);
                question_free(question);
        }
}

static void test_reject(void **state) {
        static const struct {
                const char *name, *text;
        } cases[] = {
                { "nothing", "" },
                { "no JSON", "deny" },
                { "cut short", "{\"source\": \"desk\"" },
                { "an array", "[]" },
                { "something behind it", UPSTREAM "} x" },
                { "no source",
                  "{\"service\":\"s\",\"argument\":\"+\",\"targets\":[],\"default_target\":\"\",\"icons\":{}}" },
                { "a source that is a number", QUESTION("1", "\"s\"", "[]", "\"\"", ICONS) },
                { "a source without icon", QUESTION("\"web\"", "\"s\"", "[]", "\"\"", ICONS) },
                { "markup in the source", QUESTION("\"<b>\"", "\"s\"", "[]", "\"\"", "{\"<b>\":\"x\"}") },
                { "a blank in the source", QUESTION("\"a b\"", "\"s\"", "[]", "\"\"", "{\"a b\":\"x\"}") },
                { "a colon in a name", QUESTION("\"desk\"", "\"s\"", "[]", "\"\"", "{\"desk\":\"x\",\"a:b\":\"x\"}") },
                { "a letter beyond ASCII",
                  QUESTION("\"desk\"", "\"s\"", "[]", "\"\"", "{\"desk\":\"x\",\"caf\\u00e9\":\"x\"}") },
                { "a NUL in a name", QUESTION("\"desk\\u0000\"", "\"s\"", "[]", "\"\"", ICONS) },
                { "a slash in the service", QUESTION("\"desk\"", "\"s/t\"", "[]", "\"\"", ICONS) },
                { "targets that are no array", QUESTION("\"desk\"", "\"s\"", "{}", "\"\"", ICONS) },
                { "a target that is no text", QUESTION("\"desk\"", "\"s\"", "[1]", "\"\"", ICONS) },
                { "icons that are no object", QUESTION("\"desk\"", "\"s\"", "[]", "\"\"", "[]") },
                { "an icon that is no text", QUESTION("\"desk\"", "\"s\"", "[]", "\"\"", "{\"desk\":null}") },
                { "a default that is no text", QUESTION("\"desk\"", "\"s\"", "[]", "null", ICONS) },
                { "deep", QUESTION("\"desk\"", "\"s\"", "[[[[[[[[[[]]]]]]]]]]", "\"\"", ICONS) },
                { "durations that are no array", UPSTREAM ",\"allow_for\":60}" },
                { "no time", UPSTREAM ",\"allow_for\":[0]}" },
                { "more than 30 days", UPSTREAM ",\"quiet_for\":[2592001]}" },
                { "not ascending", UPSTREAM ",\"quiet_for\":[60,60]}" },
                { "17 durations", UPSTREAM ",\"allow_for\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}" },
                { "a fraction", UPSTREAM ",\"timeout\":1.5}" },
                { "an odd name", UPSTREAM ",\"prompt\":\"a b\"}" },
                { "a text that is none", UPSTREAM ",\"text\":7}" },
                { "nine lines", UPSTREAM ",\"text\":\"\\n\\n\\n\\n\\n\\n\\n\\n\"}" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Question *question;

                if (question_decode(cases[i].text, strlen(cases[i].text), &question) != QUESTION_E_MALFORMED)
                        fail_msg("%s: taken", cases[i].name);
        }
}

static void test_encode(void **state) {
        static const char *const texts[] = {
                UPSTREAM "}",
                UPSTREAM ", \"prompt\": \"0af\", \"allow_for\": [60], \"timeout\": 1}\n",
                UPSTREAM ", \"text\": \"one\\ntwo \\u001b\"}",
                QUESTION("\"desk\"", "\"s\"", "[\"mail\",\"desk\"]", "\"desk\"", ICONS),
                QUESTION("\"desk\"", "\"s.\"", "[\"uuid:1\"]", "\"uu\\\"id:1\"", ICONS),
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); ++i) {
                _cleanup_free_ char *line = NULL, *again = NULL;
                Question *question, *other;

                assert_int_equal(question_decode(texts[i], strlen(texts[i]), &question), 0);
                assert_int_equal(question_encode(question, &line), 0);
                assert_null(strchr(line, '\n'));
                assert_int_equal(question_decode(line, strlen(line), &other), 0);
                assert_int_equal(question_encode(other, &again), 0);
                assert_string_equal(line, again);
                assert_int_equal(question->default_entry, other->default_entry);
                assert_string_equal(question->problem ?: "", other->problem ?: "");
                question_free(question);
                question_free(other);
        }
}

static void test_words(void **state) {
        static const struct {
                uint32_t sec;
                const char *text;
        } durations[] = {
                { 1, "1 second" },      { 59, "59 seconds" }, { 60, "1 minute" },
                { 90, "90 seconds" },   { 300, "5 minutes" }, { 3600, "1 hour" },
                { 5400, "90 minutes" }, { 86400, "1 day" },   { 2592000, "30 days" },
        };
        char text[32];

        for (size_t i = 0; i < ARRAY_SIZE(durations); ++i)
                assert_string_equal(question_duration(durations[i].sec, text), durations[i].text);
        assert_int_equal(question_bold("s.Go"), 2);
        assert_int_equal(question_bold("a.b.c"), 2);
        assert_int_equal(question_bold("Go"), 0);
        assert_int_equal(question_bold("Go."), 0);
        assert_string_equal(question_icon_label("appvm-red"), "red");
        assert_string_equal(question_icon_label("red"), "");
}

static void test_count(void **state) {
        static const struct {
                const char *text;
                int expect;
        } cases[] = {
                { "{\"prompt\": \"0af\", \"requests\": 10}", 0 },
                { "{\"prompt\": \"0af\", \"requests\": 0}", QUESTION_E_MALFORMED },
                { "{\"prompt\": \"0af\", \"requests\": 4294967296}", QUESTION_E_MALFORMED },
                { "{\"prompt\": \"\", \"requests\": 1}", QUESTION_E_MALFORMED },
                { "{\"prompt\": \"a b\", \"requests\": 1}", QUESTION_E_MALFORMED },
                { "{\"requests\": 1}", QUESTION_E_MALFORMED },
                { "{\"prompt\": \"0af\"}", QUESTION_E_MALFORMED },
                { "", QUESTION_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char name[QUESTION_NAME_MAX + 1];
                uint32_t count;

                if (question_count_decode(cases[i].text, strlen(cases[i].text), name, &count) != cases[i].expect)
                        fail_msg("%s", cases[i].text);
                if (cases[i].expect == 0) {
                        assert_string_equal(name, "0af");
                        assert_int_equal(count, 10);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_upstream), cmocka_unit_test(test_ours),   cmocka_unit_test(test_default),
                cmocka_unit_test(test_reject),   cmocka_unit_test(test_encode), cmocka_unit_test(test_words),
                cmocka_unit_test(test_count),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
