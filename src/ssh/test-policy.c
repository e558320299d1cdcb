/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/policyfile.h"
#include "ssh/settings.h"
#include "ssh/test-sample.h"

#define FP_A "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
#define FP_B "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"

static SshPolicy *policy;
static char message[512]; /* the first that the parser complained about */

/* Return: as ssh_policy_parse() and ssh_policy_finish(). */
static int parse(const char *text) {
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        policy = ssh_policy_free(policy);
        assert_int_equal(ssh_policy_new(&policy), 0);
        r = ssh_policy_parse(policy, "x.conf", text, strlen(text), &diagnostics);
        r = r ?: ssh_policy_finish(policy, &diagnostics);
        message[0] = '\0';
        if (diagnostics.n_entries > 0) {
                char *first = diagnostic_format(diagnostics.entries);

                (void)snprintf(message, sizeof(message), "%s", first);
                free(first);
        }
        assert_true((r == 0) == (diagnostics.n_entries == 0));
        diagnostics_deinit(&diagnostics);
        return r;
}

static void test_accepted(void **state) {
        static const char *const texts[] = {
                "",
                "\n\n# nothing\n  \t# but comments\n",
                "[defaults]\nconfirm = ask\n",
                "[defaults]\nconfirm=grant:1",
                "[defaults]\nconfirm = grant:86400\n",
                "[defaults]\nrate = 1/1\nprompt-rate = 1000/86400\n",
                "[defaults]\nrate = off\n",
                "[defaults]\nsign = none\n",
                "[defaults]\nsign = auth sshsig cert hostproof pam probe raw\n",
                "[defaults]\nprompt-timeout = 5\ndeny-cooldown = 0\nmax-connections = 1\nidle-timeout = 0\n",
                "[defaults]\nprompt-timeout = 600\ndeny-cooldown = 3600\nmax-connections = 256\nidle-timeout = 86400\n",
                "[source work]\n[source work*]\n[source *]\n[source work agent gpg]\n[agent gpg]\n[host github]\n",
                "[ source \t work  agent  gpg ]\n",
                "[source work]\nkey = *\nkey = " FP_A "\nkey = comment:a*\nkey = type:ssh-rsa\nkey = " KEY "\n",
                "[source work]\nkey = \"comment:with blanks\" deny\nkey = none\n",
                "[source work]\nkey = * cert=only alias=k \"alias=a \\\"k\\\\\" sign=auth,raw user=a,!b notify=no\n",
                "[host h]\nkey = " FP_A "\nkey = " KEY
                "\nlabel = \"The \\\"host\\\"\"\n[source a]\nhost = h\nvia = h\n",
                "[source a]\nhost = h\n[host h]\n",
                "[source a]\nhost = any\nkey = * host=any via=any\n",
                "[agent t]\nsocket = /a\nbind-verify = none\nreply-timeout = 5\n[agent u]\nsocket = gpg-agent\n",
                "[defaults]\nuser = \"with blank\" \xc3\xa9\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); ++i)
                if (parse(texts[i]))
                        fail_msg("%zu: %s", i, message);
}

static void test_refused(void **state) {
        static const struct {
                const char *text, *expect; /* in what is said */
        } cases[] = {
                { "key = *\n", "x.conf:1: key stands in no section" },
                { "[defaults]\nnonsense\n", "x.conf:2: neither [SECTION] nor NAME = VALUE" },
                { "[defaults]\nacces = full\n", "did you mean access?" },
                { "[defaults]\naccess =\n", "access has no value" },
                { "[defaults]\naccess = some\n", "access takes full, list or off" },
                { "[defaults]\naccess = full full\n", "access takes" },
                { "[defaults]\nconfirm = grant:0\n", "confirm takes" },
                { "[defaults]\nconfirm = grant:86401\n", "confirm takes" },
                { "[defaults]\nconfirm = grant:\n", "confirm takes" },
                { "[defaults]\nsign = auth none\n", "sign takes" },
                { "[defaults]\nsign = Auth\n", "sign takes" },
                { "[defaults]\nprompt-timeout = 4\n", "prompt-timeout takes" },
                { "[defaults]\nprompt-timeout = 601\n", "prompt-timeout takes" },
                { "[defaults]\ndeny-cooldown = 3601\n", "deny-cooldown takes" },
                { "[defaults]\nnotify = true\n", "notify takes yes or no" },
                { "[defaults]\nrate = 0/60\n", "rate takes" },
                { "[defaults]\nrate = 1001/60\n", "rate takes" },
                { "[defaults]\nrate = 1/0\n", "rate takes" },
                { "[defaults]\nrate = 1/86401\n", "rate takes" },
                { "[defaults]\nrate = 1\n", "rate takes" },
                { "[defaults]\nprompt-rate = off\n", "prompt-rate takes" },
                { "[defaults]\nmax-connections = 0\n", "max-connections takes" },
                { "[defaults]\nmax-connections = 257\n", "max-connections takes" },
                { "[defaults]\nidle-timeout = 86401\n", "idle-timeout takes" },
                { "[defaults]\nidle-timeout = 01\n", "idle-timeout takes" },
                { "[defaults]\ngrant-scope = all\n", "grant-scope takes" },
                { "[defaults]\nhost = nowhere\n", "x.conf:2: there is no section [host nowhere]" },
                { "[source a]\nkey = * via=nowhere\n", "x.conf:2: there is no section [host nowhere]" },
                { "[defaults\n", "a section ends with ]" },
                { "[]\n", "a section is" },
                { "[default]\n", "a section is" },
                { "[source]\n", "a section is" },
                { "[source a b]\n", "a section is" },
                { "[source a agent]\n", "a section is" },
                { "[source -a]\n", "a source is" },
                { "[source a*b]\n", "a source is" },
                { "[source a**]\n", "a source is" },
                { "[source a agent ../x]\n", "cannot be the name of an agent" },
                { "[agent .x]\n", "cannot be the name of an agent" },
                { "[host any]\n", "cannot be the name of a host" },
                { "[source a]\nkey = SHA256:short\n", "is no fingerprint" },
                { "[source a]\nkey = comment\n", "is none of" },
                { "[source a]\nkey = type:\n", "type: names" },
                { "[source a]\nkey = ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr\n",
                  "not of type ssh-rsa" },
                { "[source a]\nkey = ssh-ed25519 AAAA*\n", "no base64" },
                { "[source a]\nkey = * allow\n", "behind a key stand" },
                { "[source a]\nkey = * cert=some\n", "cert takes" },
                { "[source a]\nkey = * rate=1/1\n", "nothing that a key can have" },
                { "[source a]\nkey = * user=\n", "user takes" },
                { "[source a]\nkey = comment:a\"b\"\n", "put the whole word" },
                { "[source a]\nkey = \"comment:a\n", "not closed" },
                { "[source a]\nkey = \"comment:a\"b\n", "must be a blank" },
                { "[source a]\nkey = \"comment:\\n\"\n", "behind a backslash" },
                { "[source a]\nkey = a\\b\n", "put the whole word" },
                { "[host h]\nkey = SHA256:short\n", "is no fingerprint" },
                { "[host h]\nkey = a b c\n", "a host's key is" },
                { "[host h]\nlabel = two words\n", "label takes one text" },
                { "[host h]\nport = 22\n", "a host has key and label" },
                { "[agent t]\nsocket = relative\n", "socket takes" },
                { "[agent t]\nbind-verify = yes\n", "bind-verify takes" },
                { "[agent t]\nreply-timeout = 4\n", "reply-timeout takes" },
                { "[agent t]\nreply-timeout = 601\n", "reply-timeout takes" },
                { "[agent t]\nreply-timeout = 5 6\n", "reply-timeout takes one word" },
                { "[agent t]\nkey = *\n", "an agent has" },
                { "[defaults]\nuser = a\rb\n", "a control character (byte 9)" },
                { "[defaults]\nuser = \x7f\n", "a control character" },
                { "[defaults]\nuser = \xff\n", "not UTF-8" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (parse(cases[i].text) != SSH_POLICY_E_INVALID || !strstr(message, cases[i].expect))
                        fail_msg("%s: got \"%s\"", cases[i].text, message);
}

static void test_long_lines(void **state) {
        static char text[SSH_POLICY_LINE_MAX + 2];

        memset(text, '#', SSH_POLICY_LINE_MAX);
        assert_int_equal(parse(text), 0);
        text[SSH_POLICY_LINE_MAX] = '#';
        assert_int_equal(parse(text), SSH_POLICY_E_INVALID);
}

/* A NUL is a control character; what stands behind it does not get lost. */
static void test_nul(void **state) {
        Diagnostics diagnostics = DIAGNOSTICS_INIT;

        policy = ssh_policy_free(policy);
        assert_int_equal(ssh_policy_new(&policy), 0);
        assert_int_equal(ssh_policy_parse(policy, "x", "#\0\n", 3, &diagnostics), SSH_POLICY_E_INVALID);
        diagnostics_deinit(&diagnostics);
}

/* 6.3: which section a setting is taken from. */
static void test_sections(void **state) {
        static const char text[] = "[source *]\nidle-timeout = 1\nrate = 1/1\nuser = star\nkey = type:star\n"
                                   "[source wo*]\nidle-timeout = 2\nrate = 2/2\n"
                                   "[source work]\nidle-timeout = 5\n"
                                   "[source work agent t]\nidle-timeout = 6\n"
                                   "[source wor*]\nidle-timeout = 3\nkey = none\n"
                                   "[source wor* agent t]\nidle-timeout = 4\n"
                                   "[defaults]\nnamespace = def\nidle-timeout = 9\nkey = type:def\n"
                                   "[source work]\ndeny-cooldown = 1\ndeny-cooldown = 2\n";
        static const struct {
                const char *source, *agent;
                unsigned idle, rate;
        } cases[] = {
                { "work", "t", 6, 2 }, { "work", "u", 5, 2 }, { "worx", "t", 4, 2 },
                { "worx", "u", 3, 2 }, { "wo", "t", 2, 2 },   { "other", "t", 1, 1 },
        };
        SshRules rules;

        assert_int_equal(parse(text), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                rules = ssh_policy_rules(policy, cases[i].source, cases[i].agent);
                if (rules.settings.idle_timeout_sec != cases[i].idle || rules.settings.rate.n != cases[i].rate)
                        fail_msg("%s, %s: %u, %u", cases[i].source, cases[i].agent, rules.settings.idle_timeout_sec,
                                 rules.settings.rate.n);
                assert_string_equal(rules.settings.user.items[0], "star");
                assert_string_equal(rules.settings.name_space.items[0], "def");
        }
        /* A section's list of keys counts as a whole, and one that was emptied too. */
        rules = ssh_policy_rules(policy, "worx", "t");
        assert_int_equal(rules.n_keys, 0);
        rules = ssh_policy_rules(policy, "wo", "t");
        assert_int_equal(rules.n_keys, 1);
        assert_string_equal(rules.keys[0].text, "star");
        rules = ssh_policy_rules(policy, "work", "t");
        assert_int_equal(rules.settings.deny_cooldown_sec, 2);
        assert_int_equal(rules.n_keys, 0);
}

static void test_builtin(void **state) {
        SshRules rules;

        assert_int_equal(parse(""), 0);
        rules = ssh_policy_rules(policy, "work", "t");
        assert_int_equal(rules.settings.access, SSH_ACCESS_FULL);
        assert_int_equal(rules.settings.sign, BIT(SSH_KIND_AUTH) | BIT(SSH_KIND_SSHSIG));
        assert_int_equal(rules.settings.confirm, SSH_CONFIRM_ASK);
        assert_int_equal(rules.settings.grant_scope, SSH_GRANT_SCOPE_HOST);
        assert_int_equal(rules.settings.prompt_timeout_sec, 60);
        assert_int_equal(rules.settings.deny_cooldown_sec, 15);
        assert_true(rules.settings.notify);
        assert_false(rules.settings.forwarded);
        assert_false(rules.settings.rsa_sha1);
        assert_int_equal(rules.settings.host.n, 0);
        assert_int_equal(rules.settings.rate.n, 30);
        assert_int_equal(rules.settings.prompt_rate.n, 10);
        assert_int_equal(rules.settings.max_connections, 16);
        assert_int_equal(rules.settings.idle_timeout_sec, 900);
        assert_int_equal(rules.n_keys, 1);
        assert_false(rules.is_gpg);
        assert_true(rules.bind_verify);
        assert_int_equal(rules.reply_timeout_sec, 120);
        rules = ssh_policy_rules(policy, "work", "gpg");
        assert_true(rules.is_gpg);
        assert_false(rules.bind_verify);
}

static void test_agents(void **state) {
        SshRules rules;

        assert_int_equal(parse("[agent a]\nsocket = /x\n[agent b]\nsocket = gpg-agent\n[agent gpg]\nsocket = /g\n"
                               "[agent c]\nsocket = gpg-agent\nbind-verify = agent\nreply-timeout = 7\n"),
                         0);
        rules = ssh_policy_rules(policy, "work", "a");
        assert_string_equal(rules.socket, "/x");
        rules = ssh_policy_rules(policy, "work", "b");
        assert_true(rules.is_gpg && !rules.bind_verify && !rules.socket);
        rules = ssh_policy_rules(policy, "work", "gpg");
        assert_true(!rules.is_gpg && rules.bind_verify);
        rules = ssh_policy_rules(policy, "work", "c");
        assert_true(rules.is_gpg && rules.bind_verify);
        assert_int_equal(rules.reply_timeout_sec, 7);
}

/* Which line decides about an identity: the first that matches. */
static void test_keys(void **state) {
        Sample plain_sample, certificate_sample;
        SshKey plain = ssh_key_parse(sample_key(&plain_sample, 'k'));
        SshKey certificate = ssh_key_parse(sample_certificate(&certificate_sample, 'k', 1, true));
        SshFingerprint fingerprint = ssh_key_fingerprint(&plain);
        static const struct {
                const char *lines;
                bool plain, certificate;
        } cases[] = {
                { "key = *", true, true },
                { "key = * cert=no", true, false },
                { "key = * cert=only", false, true },
                { "key = * cert=only deny\nkey = *", true, false },
                { "key = comment:work-*", true, true },
                { "key = comment:WORK-*", false, false },
                { "key = type:ssh-ed25519", true, true },
                { "key = type:ssh-ed25519-cert-v01@openssh.com", false, false },
                { "key = " FP_A "\nkey = " FP_B, false, false },
                { "key = " KEY, true, true },
                { "key = " KEY " deny\nkey = *", false, false },
                { "key = *\nkey = * deny", true, true },
                { "key = none", false, false },
                { "key = *\nkey = none\nkey = * cert=no", true, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[512];
                SshRules rules;

                (void)snprintf(text, sizeof(text), "[source work]\n%s\n", cases[i].lines);
                if (parse(text))
                        fail_msg("%s", message);
                rules = ssh_policy_rules(policy, "work", "t");
                if ((ssh_rules_key(&rules, &plain, &fingerprint, SLICE_OF("work-key")) != NULL) != cases[i].plain ||
                    (ssh_rules_key(&rules, &certificate, &fingerprint, SLICE_OF("work-key")) != NULL) !=
                            cases[i].certificate)
                        fail_msg("%s", cases[i].lines);
        }
}

static void test_key_settings(void **state) {
        SshSettings settings;
        SshRules rules;

        assert_int_equal(
                parse("[source work]\nconfirm = never\nuser = a\nrate = 3/3\n"
                      "key = * confirm=grant:5 user=b,c sign=raw grant-scope=exact forwarded=yes rsa-sha1=yes\n"),
                0);
        rules = ssh_policy_rules(policy, "work", "t");
        settings = ssh_rules_settings(&rules, rules.keys);
        assert_int_equal(settings.confirm, SSH_CONFIRM_GRANT);
        assert_int_equal(settings.grant_sec, 5);
        assert_int_equal(settings.user.n, 2);
        assert_string_equal(settings.user.items[1], "c");
        assert_int_equal(settings.sign, BIT(SSH_KIND_RAW));
        assert_int_equal(settings.grant_scope, SSH_GRANT_SCOPE_EXACT);
        assert_true(settings.forwarded && settings.rsa_sha1);
        assert_int_equal(settings.rate.n, 3);
        settings = ssh_rules_settings(&rules, NULL);
        assert_int_equal(settings.confirm, SSH_CONFIRM_NEVER);
}

static void test_hosts(void **state) {
        SshFingerprint a, b, other = { "SHA256:other" };
        SshRules rules;

        assert_int_equal(ssh_fingerprint_parse(FP_A, &a), 0);
        assert_int_equal(ssh_fingerprint_parse(FP_B, &b), 0);
        assert_int_equal(parse("[host one]\nkey = " FP_A "\n[host two]\nkey = " FP_A "\nkey = " FP_B "\n"
                               "[source work]\nhost = one\n"),
                         0);
        rules = ssh_policy_rules(policy, "work", "t");
        assert_string_equal(ssh_rules_host(&rules, &a)->name, "one");
        assert_string_equal(ssh_rules_host(&rules, &b)->name, "two");
        assert_null(ssh_rules_host(&rules, &other));
        assert_true(ssh_rules_host_listed(&rules, &rules.settings.host, &a));
        assert_false(ssh_rules_host_listed(&rules, &rules.settings.host, &b));
        assert_true(ssh_rules_host_listed(&rules, &rules.settings.via, &other));
}

/* What is printed means the same, and is printed the same. */
static void test_format(void **state) {
        static const char *const texts[] = {
                "",
                "[source work]\nkey = none\nsign = none\nrate = off\nuser = \"a b\" \"\\\"\\\\\" !c\n",
                "[host h]\nkey = " FP_A "\nkey = " KEY "\nlabel = \"A \\\"label\\\"\"\n[host i]\n"
                "[source work]\nhost = h i\nvia = i\nkey = " KEY " deny\nkey = \"comment:a b\" cert=no \"alias=x y\" "
                "confirm=grant:3 sign=auth,raw host=any user=a,b namespace=git forwarded=yes notify=no rsa-sha1=yes "
                "grant-scope=key\nkey = type:ssh-rsa cert=only\nkey = *\n",
                "[agent t]\nsocket = \"/with blank\"\nbind-verify = none\nreply-timeout = 9\n",
                "[agent t]\nsocket = gpg-agent\n",
                "[source work]\naccess = list\nconfirm = grant:30\ngrant-scope = exact\nprompt-timeout = 7\n"
                "deny-cooldown = 8\nnotify = no\nforwarded = yes\nnamespace = git file\nrsa-sha1 = yes\nrate = 1/2\n"
                "prompt-rate = 3/4\nmax-connections = 5\nidle-timeout = 6\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); ++i) {
                char *first, *again;
                SshRules rules;

                assert_int_equal(parse(texts[i]), 0);
                rules = ssh_policy_rules(policy, "work", "t");
                first = ssh_rules_format(&rules);
                if (parse(first))
                        fail_msg("%zu: %s in:\n%s", i, message, first);
                rules = ssh_policy_rules(policy, "work", "t");
                again = ssh_rules_format(&rules);
                assert_string_equal(first, again);
                free(first);
                free(again);
        }
}

static int free_policy(void **state) {
        policy = ssh_policy_free(policy);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused),  cmocka_unit_test(test_long_lines),
                cmocka_unit_test(test_nul),      cmocka_unit_test(test_sections), cmocka_unit_test(test_builtin),
                cmocka_unit_test(test_agents),   cmocka_unit_test(test_keys),     cmocka_unit_test(test_key_settings),
                cmocka_unit_test(test_hosts),    cmocka_unit_test(test_format),
        };

        return cmocka_run_group_tests(tests, NULL, free_policy);
}
