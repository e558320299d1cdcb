/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* QREXEC_SERVICE_ARGUMENT, QREXEC_REMOTE_DOMAIN; NULL: not set. */
static void set_call(const char *argument, const char *source) {
        (void)unsetenv("QREXEC_SERVICE_ARGUMENT");
        (void)unsetenv("QREXEC_REMOTE_DOMAIN");
        if (argument)
                (void)setenv("QREXEC_SERVICE_ARGUMENT", argument, 1);
        if (source)
                (void)setenv("QREXEC_REMOTE_DOMAIN", source, 1);
}

static void test_parse(void **state) {
        static const struct {
                const char *name;
                const char *words[8];
                const char *argument, *source;
                int expect;
                const char *expect_source, *expect_agent;
        } cases[] = {
                { "a call", { "--service" }, "t", "work", 0, "work", "t" },
                { "a call with a fixed agent", { "--service", "--agent", "gpg" }, NULL, "work", 0, "work", "gpg" },
                { "a call with a fixed agent and no argument",
                  { "--service", "--agent=gpg" },
                  "",
                  "work",
                  0,
                  "work",
                  "gpg" },
                { "by hand", { "--source", "work", "--agent", "t" }, "x", "y", 0, "work", "t" },
                { "help", { "--help" }, NULL, NULL, SSH_OPTIONS_E_HELP, NULL, NULL },
                { "version", { "--version" }, NULL, NULL, SSH_OPTIONS_E_VERSION, NULL, NULL },
                { "an argument that is not wanted",
                  { "--service", "--agent", "gpg" },
                  "t",
                  "work",
                  SSH_OPTIONS_E_USAGE,
                  NULL,
                  NULL },
                { "no argument", { "--service" }, NULL, "work", SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "a path", { "--service" }, "../x", "work", SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "an option", { "--service" }, "-x", "work", SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "no caller", { "--service" }, "t", NULL, SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "a caller that is none", { "--service" }, "t", "a/b", SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "two sources", { "--service", "--source", "x" }, "t", "work", SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "no source", { "--agent", "t" }, NULL, "work", SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "no agent", { "--source", "work" }, "t", NULL, SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "unknown option",
                  { "--source", "work", "--agent", "t", "--x" },
                  NULL,
                  NULL,
                  SSH_OPTIONS_E_USAGE,
                  NULL,
                  NULL },
                { "a word", { "--source", "work", "--agent", "t", "x" }, NULL, NULL, SSH_OPTIONS_E_USAGE, NULL, NULL },
                { "no value", { "--source" }, NULL, NULL, SSH_OPTIONS_E_USAGE, NULL, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char *argv[10] = { (char *)"split-ssh-filter" };
                const char *message = NULL;
                SshOptions options;
                int argc = 1, r;

                for (size_t k = 0; k < 8 && cases[i].words[k]; ++k)
                        argv[argc++] = (char *)cases[i].words[k];
                set_call(cases[i].argument, cases[i].source);
                r = ssh_options_parse(argc, argv, &options, &message);
                if (r != cases[i].expect)
                        fail_msg("%s: got %d (%s)", cases[i].name, r, message ?: "");
                if (r == SSH_OPTIONS_E_USAGE)
                        assert_non_null(message);
                if (r == 0) {
                        assert_string_equal(options.source, cases[i].expect_source);
                        assert_string_equal(options.agent, cases[i].expect_agent);
                }
        }
}

/* It fits a screen. */
static void test_usage(void **state) {
        unsigned n_lines = 0;

        for (const char *line = ssh_options_usage(); *line != '\0'; line = strchr(line, '\n') + 1) {
                assert_true(strcspn(line, "\n") <= 100);
                ++n_lines;
        }
        assert_true(n_lines <= 24);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse), cmocka_unit_test(test_usage) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
