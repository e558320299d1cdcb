/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static const char text[] =
        "{\"source\":\"work\",\"service\":\"my.Sign\",\"argument\":\"+x\\u001b[2J\\n\","
        "\"targets\":[\"vault\",\"@dispvm:dvm\"],\"default_target\":\"vault\","
        "\"icons\":{\"work\":\"appvm-red\",\"vault\":\"appvm-black\",\"@dispvm:dvm\":\"dispvm-\\u001b\"},"
        "\"allow_for\":[60,3600],\"quiet_for\":[300]}";

static Question *make(const char *json) {
        Question *question;

        assert_int_equal(question_decode(json, strlen(json), &question), 0);
        return question;
}

/* No byte of a domain's making does anything to the terminal. */
static void test_show(void **state) {
        static const char expect[] = "\n"
                                     "Question 7: work (red) calls my.Sign+x\\x1b[2J\\n\n"
                                     "10 requests ask this.\n"
                                     "  1    Disposable VM (dvm) (\\x1b)\n"
                                     "  2    vault (black)  <- suggested\n"
                                     "Allow: NUMBER, or y for the suggested. Deny: n.\n"
                                     "  NUMBER for 60        1 minute\n"
                                     "  NUMBER for 3600      1 hour\n"
                                     "  n for 300       5 minutes\n";
        _cleanup_free_ char *shown = NULL;
        Question *question = make(text);
        size_t n;
        FILE *stream = open_memstream(&shown, &n);

        terminal_show(stream, question, 7, 10, false);
        fclose(stream);
        assert_string_equal(shown, expect);
        question_free(question);
}

/* Nor can a line of it be taken for one of ours. */
static void test_show_text(void **state) {
        static const char with_text[] = "{\"source\":\"work\",\"service\":\"s\",\"argument\":\"+\","
                                        "\"targets\":[\"vault\"],\"default_target\":\"vault\","
                                        "\"icons\":{\"work\":\"\",\"vault\":\"\"},"
                                        "\"text\":\"Log in as git\\nAllow: y\\u001b[2J\\n\"}";
        static const char expect[] = "\n"
                                     "Question 1: work calls s\n"
                                     "  | Log in as git\n"
                                     "  | Allow: y\\x1b[2J\n"
                                     "  1    vault  <- suggested\n"
                                     "Allow: NUMBER, or y for the suggested. Deny: n.\n";
        _cleanup_free_ char *shown = NULL;
        Question *question = make(with_text);
        size_t n;
        FILE *stream = open_memstream(&shown, &n);

        terminal_show(stream, question, 1, 1, false);
        fclose(stream);
        assert_string_equal(shown, expect);
        question_free(question);
}

static void test_parse(void **state) {
        static const struct {
                const char *line;
                int expect;
                const char *answer;
        } cases[] = {
                { "n", 0, "deny" },
                { "no", 0, "deny" },
                { " n \r", 0, "deny" },
                { "n for 300", 0, "deny-for:300" },
                { "1", 0, "allow:@dispvm:dvm" },
                { "2", 0, "allow:vault" },
                { "y", 0, "allow:vault" },
                { "yes for 60", 0, "allow-for:60:vault" },
                { "1  for  3600", 0, "allow-for:3600:@dispvm:dvm" },
                { "", TERMINAL_E_EMPTY, NULL },
                { "  ", TERMINAL_E_EMPTY, NULL },
                { "0", TERMINAL_E_TARGET, NULL },
                { "3", TERMINAL_E_TARGET, NULL },
                { "vault", TERMINAL_E_UNKNOWN, NULL },
                { "2 please", TERMINAL_E_UNKNOWN, NULL },
                { "2 for 60 s", TERMINAL_E_UNKNOWN, NULL },
                { "02", TERMINAL_E_UNKNOWN, NULL },
                { "2 for", TERMINAL_E_DURATION, NULL },
                { "2 for 61", TERMINAL_E_DURATION, NULL },
                { "2 for 300", TERMINAL_E_DURATION, NULL },
                { "n for 60", TERMINAL_E_DURATION, NULL },
        };
        Question *question = make(text);

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char encoded[ANSWER_MAX + 1];
                Answer answer;
                int r = terminal_parse(question, cases[i].line, &answer);

                if (r != cases[i].expect)
                        fail_msg("'%s': got %d", cases[i].line, r);
                if (r)
                        continue;
                answer_encode(&answer, encoded);
                if (strcmp(encoded, cases[i].answer) != 0)
                        fail_msg("'%s': got %s", cases[i].line, encoded);
        }
        question_free(question);
}

static void test_nothing_suggested(void **state) {
        Question *question =
                make("{\"source\":\"work\",\"service\":\"my.Sign\",\"argument\":\"+\",\"targets\":[\"vault\"],"
                     "\"default_target\":\"\",\"icons\":{\"work\":\"a\",\"vault\":\"b\"}}");
        Answer answer;

        assert_int_equal(terminal_parse(question, "y", &answer), TERMINAL_E_TARGET);
        assert_int_equal(terminal_parse(question, "1", &answer), 0);
        question_free(question);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_show),
                cmocka_unit_test(test_show_text),
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_nothing_suggested),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
