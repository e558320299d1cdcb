/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/notice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define NOTICE(_resolution, _argument, _target, _more)                                                   \
        "{\"resolution\": \"" _resolution "\", \"service\": \"s.Go\", \"argument\": \"" _argument "\", " \
        "\"source\": \"desk\", \"target\": \"" _target "\"" _more "}"

static void test_format(void **state) {
        static const struct {
                const char *text, *summary, *body, *icon;
        } cases[] = {
                { NOTICE("allow", "+", "web", ""), "Allowed: s.Go",
                  "Allowed <b>s.Go</b> from <b>desk</b> to <b>web</b>", "" },
                { NOTICE("deny", "+x", "web", ""), "Denied: s.Go",
                  "Denied <b>s.Go+x</b> from <b>desk</b> to <b>web</b>", "dialog-error" },
                { NOTICE("fail", "+", "web", ""), "Failed: s.Go",
                  "Failed to execute <b>s.Go</b> (from <b>desk</b> to <b>web</b>)", "dialog-warning" },
                { NOTICE("deny", "+", "<i>&'\\\"\\n", ""), "Denied: s.Go",
                  "Denied <b>s.Go</b> from <b>desk</b> to <b>&lt;i&gt;&amp;&#39;&quot; </b>", "dialog-error" },
                { NOTICE("deny", "+", "web", ", \"count\": 12"), "Denied: s.Go",
                  "Denied <b>s.Go</b> from <b>desk</b> to <b>web</b>, and the like: 12 in all", "dialog-error" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *summary = NULL, *body = NULL;
                const char *icon;
                Notice *notice;

                if (notice_decode(cases[i].text, strlen(cases[i].text), &notice))
                        fail_msg("%s: refused", cases[i].text);
                assert_int_equal(notice_format(notice, &summary, &body, &icon), 0);
                assert_string_equal(summary, cases[i].summary);
                assert_string_equal(body, cases[i].body);
                assert_string_equal(icon, cases[i].icon);
                notice_free(notice);
        }
}

static void test_reject(void **state) {
        static const char *const cases[] = {
                "",
                "{}",
                "[]",
                NOTICE("maybe", "+", "web", ""),
                NOTICE("deny", "\\u0000", "web", ""),
                NOTICE("deny", "+", "web", ", \"count\": 0"),
                NOTICE("deny", "+", "web", ", \"count\": \"1\""),
                NOTICE("deny", "+", "web", "") "x",
                "{\"resolution\": \"deny\", \"service\": \"s.Go\", \"argument\": \"+\", \"source\": \"desk\"}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Notice *notice;

                if (notice_decode(cases[i], strlen(cases[i]), &notice) != NOTICE_E_MALFORMED)
                        fail_msg("taken: %s", cases[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_format), cmocka_unit_test(test_reject) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
