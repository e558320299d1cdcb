/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/askconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static int parse(const char *text, size_t n, AskConfig *ret_config, char problem[static 512]) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r = ask_config_parse("ask.conf", text, n, &diagnostics, ret_config);

        problem[0] = '\0';
        if (diagnostics.n_entries > 0) {
                _cleanup_free_ char *line = diagnostic_format(&diagnostics.entries[0]);

                snprintf(problem, 512, "%s", line);
        }
        assert_true((r == ASK_CONFIG_E_INVALID) == (problem[0] != '\0'));
        return r;
}

static void test_accept(void **state) {
        static const char text[] = "; how questions are put\n"
                                   "[ask]\n"
                                   "timeout = 60\n"
                                   "quiet_for = 300  3600 ; five minutes, an hour\n"
                                   "\n"
                                   "[my.Sign]\n"
                                   "allow_for = 60 300\n"
                                   "[my.Never]\n"
                                   "allow_for =\n"
                                   "[*]\n"
                                   "allow_for = 2592000\n";
        AskConfig config;
        AskDurations durations;
        char problem[512];

        assert_int_equal(parse(text, strlen(text), &config, problem), 0);
        assert_int_equal(config.timeout_sec, 60);
        assert_int_equal(config.quiet_for.n, 2);
        assert_true(ask_durations_have(&config.quiet_for, 3600));
        assert_false(ask_durations_have(&config.quiet_for, 3601));
        durations = ask_config_allow_for(&config, "my.Sign+release");
        assert_int_equal(durations.n, 2);
        assert_int_equal(durations.sec[1], 300);
        assert_int_equal(ask_config_allow_for(&config, "my.Never").n, 0);
        assert_int_equal(ask_config_allow_for(&config, "my.Sig").sec[0], 2592000);
        ask_config_deinit(&config);
        ask_config_deinit(&config);
        assert_int_equal(config.timeout_sec, ASK_TIMEOUT_SEC);
}

static void test_empty(void **state) {
        AskConfig config;
        char problem[512];

        assert_int_equal(parse("", 0, &config, problem), 0);
        assert_int_equal(config.timeout_sec, ASK_TIMEOUT_SEC);
        assert_int_equal(config.quiet_for.n, 0);
        assert_int_equal(ask_config_allow_for(&config, "my.Sign").n, 0);
        ask_config_deinit(&config);
}

static void test_relay(void **state) {
        static const struct {
                const char *text;
                bool no_relay_guivm;
        } cases[] = { { "[ask]\n", false },
                      { "[ask]\nrelay_guivm = yes\n", false },
                      { "[ask]\nrelay_guivm = no\n", true } };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char problem[512];
                AskConfig config;

                assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &config, problem), 0);
                assert_int_equal(config.no_relay_guivm, cases[i].no_relay_guivm);
                ask_config_deinit(&config);
        }
}

static void test_reject(void **state) {
#define X48 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        static const struct {
                const char *name, *text, *problem;
        } cases[] = {
                { "a value outside", "timeout = 5\n", "ask.conf:1: timeout: stands outside of a section" },
                { "no such key", "[ask]\nallow_for = 5\n", "ask.conf:2: allow_for: [ask] has" },
                { "no such key of a service", "[my.Sign]\ntimeout = 5\n", "ask.conf:2: timeout: a service has" },
                { "no service's name", "[my Sign]\nallow_for = 5\n", "ask.conf:2: my Sign: is neither" },
                { "timeout 0", "[ask]\ntimeout = 0\n", "ask.conf:2: 0: timeout is" },
                { "timeout 3601", "[ask]\ntimeout = 3601\n", "ask.conf:2: 3601: timeout is" },
                { "timeout twice", "[ask]\ntimeout = 1\ntimeout = 1\n", "ask.conf:3: timeout: given twice" },
                { "quiet twice", "[ask]\nquiet_for = 1\nquiet_for = 1\n", "ask.conf:3: quiet_for: given twice" },
                { "relay twice", "[ask]\nrelay_guivm = no\nrelay_guivm = yes\n",
                  "ask.conf:3: relay_guivm: given twice" },
                { "relay maybe", "[ask]\nrelay_guivm = 1\n", "ask.conf:2: 1: relay_guivm is yes or no" },
                { "a service twice", "[a]\nallow_for = 1\n[a]\nallow_for = 2\n", "ask.conf:4: a: allow_for is given" },
                { "a unit", "[a]\nallow_for = 5min\n", "ask.conf:2: 5min: each is a number" },
                { "0 seconds", "[a]\nallow_for = 0\n", "ask.conf:2: 0: each is a number" },
                { "more than 30 days", "[a]\nallow_for = 2592001\n", "ask.conf:2: 2592001: each is a number" },
                { "descending", "[a]\nallow_for = 60 30\n", "ask.conf:2: 60 30: write the shorter" },
                { "nine", "[a]\nallow_for = 1 2 3 4 5 6 7 8 9\n", "ask.conf:2: 1 2 3 4 5 6 7 8 9: at most 8" },
                { "no line at all", "[a]\nallow\n", "ask.conf:2: " },
                { "a long section", "[" X48 "x]\nallow_for = 1\n", "ask.conf:2: " X48 "x: a section's name" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char problem[512];
                AskConfig config;
                int r = parse(cases[i].text, strlen(cases[i].text), &config, problem);

                if (r != ASK_CONFIG_E_INVALID || strncmp(problem, cases[i].problem, strlen(cases[i].problem)) != 0)
                        fail_msg("%s: got %d: %s", cases[i].name, r, problem);
        }
}

static void test_limits(void **state) {
        static char text[ASK_CONFIG_MAX + 1];
        char problem[512];
        AskConfig config;
        size_t n = 0;

        assert_int_equal(parse("[ask]\0", 6, &config, problem), ASK_CONFIG_E_INVALID);
        memset(text, '\n', sizeof(text));
        assert_int_equal(parse(text, ASK_CONFIG_MAX, &config, problem), 0);
        ask_config_deinit(&config);
        assert_int_equal(parse(text, ASK_CONFIG_MAX + 1, &config, problem), ASK_CONFIG_E_INVALID);

        for (unsigned i = 0; i < ASK_SERVICES_MAX; ++i)
                n += (size_t)sprintf(text + n, "[s%u]\nallow_for=1\n", i);
        assert_int_equal(parse(text, n, &config, problem), 0);
        assert_int_equal(config.n_services, ASK_SERVICES_MAX);
        ask_config_deinit(&config);
        n += (size_t)sprintf(text + n, "[more]\nallow_for=1\n");
        assert_int_equal(parse(text, n, &config, problem), ASK_CONFIG_E_INVALID);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accept), cmocka_unit_test(test_empty),  cmocka_unit_test(test_relay),
                cmocka_unit_test(test_reject), cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
