/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy-tools/adminclient.h"

static char program[] = "/tmp/qair-adminclient.XXXXXX";

static void become(const char *script) {
        FILE *file = fopen(program, "w");

        assert_non_null(file);
        fprintf(file, "#!/bin/sh\n%s\n", script);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(program, 0700), 0);
}

static int call_with(PolicySlice payload, PolicyAdminReply *ret_reply) {
        const PolicyAdminClient client = { .client = "/nonexistent", .program = program, .is_host = true };

        return policy_admin_call(&client, "policy.Get", "30-user", payload, ret_reply);
}

static void test_outcomes(void **state) {
        static const struct {
                const char *name, *script;
                int expect;
                const char *output, *error_class, *message;
        } cases[] = {
                { "done", "echo hello", 0, "hello\n", NULL, NULL },
                { "nothing to say", "", 0, "", NULL, NULL },
                { "what it is told", "printf %s \"$QREXEC_SERVICE_FULL_NAME $QREXEC_REMOTE_DOMAIN $QREXEC_POLICY_DIR\"",
                  0, "policy.Get+30-user dom0 ", NULL, NULL },
                { "refused", "printf 'PolicyAdminTokenException Token mismatch' >&2; exit 1", POLICY_ADMIN_E_REFUSED,
                  "", "PolicyAdminTokenException", "Token mismatch" },
                { "refused without a word", "printf PolicyAdminException >&2; exit 1", POLICY_ADMIN_E_REFUSED, "",
                  "PolicyAdminException", "" },
                { "no class", "echo 'Request refused' >&2; exit 126", POLICY_ADMIN_E_INTERNAL, "", NULL,
                  "Request refused\n" },
                { "almost a class", "printf PolicyAdminExceptionX >&2; exit 1", POLICY_ADMIN_E_INTERNAL, "", NULL,
                  "PolicyAdminExceptionX" },
                { "failed, with output", "echo out; exit 3", POLICY_ADMIN_E_INTERNAL, "out\n", NULL, "" },
                { "killed", "kill -9 $$", POLICY_ADMIN_E_INTERNAL, "", NULL, "" },
                { "a class, but success", "echo PolicyAdminException >&2", 0, "", NULL, NULL },
        };

        assert_int_equal(setenv("QREXEC_POLICY_DIR", "/of/somebody", 1), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                PolicyAdminReply reply = {};
                int r;

                become(cases[i].script);
                r = call_with((PolicySlice){}, &reply);
                if (r != cases[i].expect || strcmp(reply.output ?: "", cases[i].output) != 0)
                        fail_msg("%s: got %d, '%s'", cases[i].name, r, reply.output);
                if (cases[i].error_class)
                        assert_string_equal(reply.error_class, cases[i].error_class);
                if (cases[i].message)
                        assert_string_equal(reply.message, cases[i].message);
                policy_admin_reply_deinit(&reply);
        }
}

/* More than the pipes take in both directions at once. */
static void test_much(void **state) {
        static char payload[300000];
        PolicyAdminReply reply = {};

        memset(payload, 'x', sizeof(payload));
        become("exec cat");
        assert_int_equal(call_with((PolicySlice){ payload, sizeof(payload) }, &reply), 0);
        assert_int_equal(reply.n_output, sizeof(payload));
        policy_admin_reply_deinit(&reply);

        become("exec <&-; echo enough");
        assert_int_equal(call_with((PolicySlice){ payload, sizeof(payload) }, &reply), 0);
        assert_string_equal(reply.output, "enough\n");
        policy_admin_reply_deinit(&reply);

        become("exec yes"); /* without an end */
        assert_int_equal(call_with((PolicySlice){}, &reply), POLICY_ADMIN_E_INTERNAL);
        policy_admin_reply_deinit(&reply);
}

static void test_no_program(void **state) {
        const PolicyAdminClient client = { .client = "/nonexistent" };
        PolicyAdminReply reply = {};

        assert_int_equal(policy_admin_call(&client, "policy.List", "", (PolicySlice){}, &reply),
                         POLICY_ADMIN_E_INTERNAL);
        assert_non_null(strstr(reply.message, "/nonexistent: "));
        policy_admin_reply_deinit(&reply);
}

static int set_up(void **state) {
        signal(SIGPIPE, SIG_IGN);
        return close(mkstemp(program));
}

static int tear_down(void **state) {
        return unlink(program);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_outcomes),
                cmocka_unit_test(test_much),
                cmocka_unit_test(test_no_program),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
