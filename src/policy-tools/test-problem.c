/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test-folder.h"
#include "policy-tools/problem.h"
#include "policy/policy.h"

static char folder[] = "/tmp/qair-problem.XXXXXX", path[64];

/* What is shown of a policy's problems, without the path of its file. */
static char *show(const char *text) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        const char *directory = folder;
        Policy *policy = NULL;
        char *shown = NULL, *found;
        size_t n = 0;
        FILE *stream;

        folder_write(folder, "30-user.policy", text, 0644);
        assert_true(policy_load(&(PolicySources){ .directories = &directory, .n_directories = 1 }, &diagnostics,
                                &policy) > 0);
        stream = open_memstream(&shown, &n);
        assert_int_equal(policy_problems_write(stream, &diagnostics), 0);
        assert_int_equal(fclose(stream), 0);
        while ((found = strstr(shown, path)))
                memmove(found, found + strlen(path), strlen(found + strlen(path)) + 1);
        while ((found = strstr(shown, folder))) {
                memcpy(found, "FOLDER", 6);
                memmove(found + 6, found + strlen(folder), strlen(found + strlen(folder)) + 1);
        }
        return shown;
}

static void test_show(void **state) {
        static const struct {
                const char *policy, *expect;
        } cases[] = {
                { "s.Go * work vault permit\n", ":1:19: invalid action: permit\n"
                                                "    s.Go * work vault permit\n"
                                                "                      ^~~~~~\n"
                                                "    it is allow, ask or deny; parameters follow after a blank, not a "
                                                "comma\n" },
                { "# x\r\n \t s/Go\t*\twork vault allow\r\n",
                  ":2:4: service 's/Go' contains invalid characters: ('/',)\n"
                  "    s/Go\t*\twork vault allow\n"
                  "    ^~~~\n"
                  "    a service has letters, digits, '-', '.' and '_'; * is "
                  "any\n" },
                { "s.Go\t*\twork vault allow x\xc3\xa9=1\n",
                  ":1:25: invalid parameters for action Allow: ['x\\xe9=1']\n"
                  "    s.Go\t*\twork vault allow x?=1\n"
                  "        \t \t                 ^~~~\n"
                  "    allow has target=, user=, notify= and autostart=\n" },
                { "s.Go\n",
                  ":1:1: wrong number of fields\n"
                  "    s.Go\n"
                  "    ^~~~\n"
                  "    a rule is SERVICE ARGUMENT SOURCE TARGET ACTION [PARAMETER…]; in the old format SOURCE "
                  "TARGET ACTION [PARAMETER…]\n" },
                { "!inclade x\n",
                  ":1:1: invalid directive\n"
                  "    !inclade x\n"
                  "    ^~~~~~~~\n"
                  "    there are !include PATH, !include-dir PATH, !include-service SERVICE ARGUMENT PATH and "
                  "!compat-4.0; in files for !include-service only !include\n" },
                { "!include  a b\n!include nothing\ns.Go *\n",
                  ":1:1: invalid number of params\n"
                  "    !include  a b\n"
                  "    ^~~~~~~~\n"
                  "    !include PATH, !include-dir PATH, !include-service SERVICE ARGUMENT PATH, !compat-4.0; a path "
                  "has no "
                  "blanks\n"
                  ":2:10: not a file: FOLDER/nothing\n"
                  "    !include nothing\n"
                  "             ^~~~~~~\n"
                  "    a relative path starts at the policy directory, not at that of this file\n"
                  ":3:1: wrong number of fields\n"
                  "    s.Go *\n"
                  "    ^~~~~~\n"
                  "    a rule is SERVICE ARGUMENT SOURCE TARGET ACTION [PARAMETER…]; in the old format SOURCE "
                  "TARGET ACTION [PARAMETER…]\n" },
                { "s.Go * work vault allow\n # \xc3\xa9 \xff\xfe\n",
                  ":2:7: invalid UTF-8\n"
                  "    # ? ??\n"
                  "        ^\n"
                  "    save the file as UTF-8; comments count too\n" },
                { "s.Go * work vault allow notify=x\x1b[2J\n",
                  ":1:25: 'notify' is 'x\\x1b[2J', but can be only 'yes' or 'no'\n"
                  "    s.Go * work vault allow notify=x?[2J\n"
                  "                            ^~~~~~~~~~~~\n" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *shown = show(cases[i].policy);

                if (strcmp(shown, cases[i].expect) != 0)
                        fail_msg("%s: got\n%s", cases[i].policy, shown);
        }
}

/* A line that nobody would look at, and a file that is gone meanwhile. */
static void test_not_shown(void **state) {
        const Diagnostic gone = { (char *)"/nonexistent", 3, 0, (char *)"invalid action: x", 4, 1 };
        _cleanup_free_ char *shown = NULL, *text = NULL;
        char line[700];
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        memset(line, 'x', sizeof(line));
        memcpy(line, "s.Go ", 5);
        strcpy(line + sizeof(line) - 2, "\n");
        shown = show(line);
        assert_true(strlen(shown) < 200);

        assert_int_equal(policy_problem_write(stream, &gone), 0);
        assert_int_equal(fclose(stream), 0);
        assert_memory_equal(text, "/nonexistent:3: invalid action: x\n    it is", 40);
}

/* Whatever the specification has reported of a line (2.7, 3) has a hint, or says itself what could stand there. */
static void test_every_error_has_a_hint(void **state) {
        static const char *const lines[] = {
                "allow",
                "s/x * a b allow",
                "s x/ a b allow",
                "s x a b allow",
                "* + a b allow",
                "s * @default b allow",
                "s * a @bad allow",
                "s * @tag: b allow",
                "s * a b permit",
                "s * a b allow x",
                "s * a b allow x=1",
                "s * a b ask x=1",
                "s * a b deny x=1",
                "s * a b allow target=",
                "s * a b allow target=*",
                "s * a @default allow",
                "!x",
                "!include",
                "!include nothing",
                "!include-dir nothing",
                "\xff",
        };

        for (size_t i = 0; i < ARRAY_SIZE(lines); ++i) {
                _cleanup_free_ char *shown = show(lines[i]);

                if (!strstr(shown, "\n    ") || !policy_problem_hint(strstr(shown, ": ") + 2))
                        fail_msg("%s: %s", lines[i], shown);
        }
        assert_non_null(policy_problem_hint("invalid filename: /etc/qubes/policy.d/A.policy"));
        assert_non_null(
                policy_problem_hint("failed to load /run/qubes/policy.d file: [Errno 2] No such file or directory"));
        assert_null(policy_problem_hint("parameter given twice: 'user'"));
}

static int set_up(void **state) {
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof(path), "%s/30-user.policy", folder);
        return 0;
}

static int tear_down(void **state) {
        return folder_remove(folder);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_show),
                cmocka_unit_test(test_not_shown),
                cmocka_unit_test(test_every_error_has_a_hint),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
