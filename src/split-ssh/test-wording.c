/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "split-ssh/wording.h"

#define V64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_uses(void **state) {
        static const struct {
                const char *record, *use, *arrow;
        } cases[] = {
                { "kind=auth\nuser=git\nhost=GitHub\nhostkey=SHA256:a\nproof=signature\n", "Log in as git at GitHub",
                  "work → git@GitHub (host key verified)" },
                { "kind=auth\nuser=git\nhostkey=SHA256:a\nproof=session\n", "Log in as git at unlisted server SHA256:a",
                  "work → git@unlisted server SHA256:a (host key verified)" },
                { "kind=auth\nuser=git\nproof=none\n", "Log in as git at a server that is not identified",
                  "work → git@a server that is not identified" },
                { "kind=auth\nuser=git\nhost=GitHub\nhostkey=SHA256:a\nproof=none\n",
                  "Log in as git at a server that is not identified, claimed to be SHA256:a",
                  "work → git@a server that is not identified, claimed to be SHA256:a" },
                { "kind=auth\nuser=git\nhost=GitHub\nhostkey=SHA256:a\n",
                  "Log in as git at a server that is not identified, claimed to be SHA256:a", NULL },
                { "kind=auth\nuser=u\nhost=b\nproof=signature\nvia=a,SHA256:x\n",
                  "Log in as u at b through a, SHA256:x", NULL },
                { "kind=auth\nuser=" V64 "\nhost=b\nproof=session\n", "Log in as " V64 " at b", NULL },
                { "kind=auth\nuser=" V64 "y\nhost=b\nproof=session\n", "Log in as " V64 "… at b", NULL },
                { "kind=auth\nuser=%s%n\nhost=%d\nproof=session\n", "Log in as %s%n at %d", NULL },
                { "kind=sshsig\nnamespace=git\nhash=sha512\ndigest=0123456789abcdef\n",
                  "Sign data for \"git\" (sha512, 0123456789abcdef)",
                  "work → Sign data for \"git\" (sha512, 0123456789abcdef)" },
                { "kind=auth\nuser=git at GitHub (\nhostkey=SHA256:a\nproof=session\n",
                  "Log in as \"git at GitHub (\" at unlisted server SHA256:a",
                  "work → \"git at GitHub (\"@unlisted server SHA256:a (host key verified)" },
                { "kind=auth\nuser=git\" at \"a\nhost=b\nproof=session\n", "Log in as \"git%22 at %22a\" at b", NULL },
                { "kind=auth\nuser=\nhost=b\nproof=session\n", "Log in as \"\" at b", NULL },
                { "kind=auth\nuser=a " V64 "\nhost=b\nproof=session\n",
                  "Log in as \"a xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\" at b", NULL },
                { "kind=sshsig\nnamespace=git\" (sha512\nhash=sha256\n", "Sign data for \"git%22 (sha512\" (sha256)",
                  NULL },
                { "kind=sshsig\nnamespace=git\nhash=sha256\n", "Sign data for \"git\" (sha256)", NULL },
                { "kind=cert\ncertkind=user\ncertid=t\nprincipals=root\nvalidity=now to then\n",
                  "Issue a user certificate: t, for root, valid now to then", NULL },
                { "kind=cert\ncertkind=host\ncertid=t\nvalidity=now to then\n",
                  "Issue a host certificate: t, for everybody, valid now to then", NULL },
                { "kind=cert\ncertkind=user\ncertid=t, for nobody\nprincipals=root\nvalidity=now to then\n",
                  "Issue a user certificate: \"t, for nobody\", for root, valid now to then", NULL },
                { "kind=pam\ncommand=ls\" as \"me\nuser=root on there\nhost=here\n",
                  "Authorise \"ls%22 as %22me\" as \"root on there\" on here", NULL },
                { "kind=hostproof\n", "Prove possession of a server host key", NULL },
                { "kind=pam\ncommand=ls -l\nuser=root\nhost=here\n", "Authorise \"ls -l\" as root on here", NULL },
                { "kind=probe\n", "Test signature (ssh-add -T)", NULL },
                { "kind=raw\nbytes=32\nstart=00ff\n", "Sign 32 bytes of UNIDENTIFIED data (they begin with 00ff)",
                  NULL },
                { "kind=of later\nbytes=32\n", "Sign 32 bytes of UNIDENTIFIED data", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[RECORD_MAX], buffer[WORDING_MAX];
                Record record;

                (void)snprintf(text, sizeof(text), "v=1\nsource=work\n%s", cases[i].record);
                assert_int_equal(record_parse(text, strlen(text), &record), 0);
                assert_string_equal(wording_use(&record, buffer), cases[i].use);
                if (cases[i].arrow)
                        assert_string_equal(wording_arrow(&record, buffer), cases[i].arrow);
                record_deinit(&record);
        }
}

static void test_question(void **state) {
        static const char text[] = "v=1\nsource=work\nkey=SHA256:k\ncomment=me@home\nkind=probe\ngrant=300\n";
        static const char login[] =
                "v=1\nsource=work\nkey=SHA256:k\ncomment=me@home\nkind=auth\nuser=a@b\nhost=GitHub\nproof=session\n";
        char buffer[WORDING_MAX];
        Record record;

        assert_int_equal(record_parse(text, strlen(text), &record), 0);
        assert_string_equal(wording_question(&record, buffer),
                            "work wants to use the key me@home\nSHA256:k\nTest signature (ssh-add -T)\n"
                            "A yes holds for 5 minutes, for uses like this one");
        record.grant_sec = 0;
        record_deinit(&record);

        assert_int_equal(record_parse(login, strlen(login), &record), 0);
        assert_string_equal(wording_question(&record, buffer), "work wants to use the key me@home\nSHA256:k\n"
                                                               "Log in as a@b at GitHub (host key verified)");
        assert_string_equal(wording_arrow(&record, buffer), "work → \"a@b\"@GitHub (host key verified)");
        record_deinit(&record);

        assert_int_equal(record_parse(text, strlen(text), &record), 0);
        record.grant_sec = 0;
        assert_string_equal(wording_question(&record, buffer),
                            "work wants to use the key me@home\nSHA256:k\nTest signature (ssh-add -T)");
        record_deinit(&record);
}

static void test_durations(void **state) {
        char buffer[32];

        assert_string_equal(wording_duration(1, buffer), "1 second");
        assert_string_equal(wording_duration(59, buffer), "59 seconds");
        assert_string_equal(wording_duration(60, buffer), "1 minute");
        assert_string_equal(wording_duration(90, buffer), "90 seconds");
        assert_string_equal(wording_duration(7200, buffer), "2 hours");
}

/* The longest record that there can be fits. */
static void test_longest(void **state) {
        char value[RECORD_VALUE_MAX + 1], buffer[WORDING_MAX];
        static const char *const kinds[] = { "auth", "sshsig", "cert", "pam", "raw" };
        Record record = { .grant_sec = RECORD_GRANT_MAX };

        memset(value, '"', RECORD_VALUE_MAX);
        value[RECORD_VALUE_MAX] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(kinds); ++i) {
                for (size_t j = 0; j < _RECORD_FIELD_N; ++j)
                        record.values[j] = value;
                record.values[RECORD_KIND] = kinds[i];
                record.values[RECORD_PROOF] = "none";
                assert_true(strlen(wording_question(&record, buffer)) < WORDING_MAX - 1);
                assert_non_null(strstr(buffer, "A yes holds for"));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_uses),
                cmocka_unit_test(test_question),
                cmocka_unit_test(test_durations),
                cmocka_unit_test(test_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
