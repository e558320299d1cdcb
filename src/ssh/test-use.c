/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/use.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ssh/test-sample.h"

/* The keys that the samples make, as hosts. */
static char host_a[SSH_FINGERPRINT_SIZE], host_b[SSH_FINGERPRINT_SIZE];

static SshPolicy *policy;
static SshRules rules;
static SshBindings bindings;
static SshIdentities identities;
static uint8_t answer[16384];

/* The rules of @lines, for an agent that has the ed25519 key 'k' and an RSA key. */
static void set_up(const char *lines) {
        Sample key, rsa;
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        WireWriter writer = WIRE_WRITER_INIT(answer, sizeof(answer));
        char text[1024];

        policy = ssh_policy_free(policy);
        ssh_identities_deinit(&identities);
        bindings = (SshBindings){};
        (void)snprintf(text, sizeof(text),
                       "[host a]\nkey = %s\n[host b]\nkey = %s\nlabel = \"The B\"\n[source work]\n%s\n", host_a, host_b,
                       lines);
        assert_int_equal(ssh_policy_new(&policy), 0);
        assert_int_equal(ssh_policy_parse(policy, "x", text, strlen(text), &diagnostics), 0);
        assert_int_equal(ssh_policy_finish(policy, &diagnostics), 0);
        rules = ssh_policy_rules(policy, "work", "t");

        wire_writer_u8(&writer, 12);
        ssh_write_u32(&writer, 2);
        ssh_write_slice(&writer, sample_key(&key, 'k'));
        sample_text(&writer, "the key");
        ssh_write_slice(&writer, sample_rsa(&rsa));
        sample_text(&writer, "rsa");
        assert_int_equal(ssh_identities_init(&identities, &rules, (WireSlice){ answer, writer.n }), 0);
}

static void bind(const char *session_id, char host, bool is_forwarding, bool is_verified) {
        Sample key;
        SshBinding binding = { sample_key(&key, host), SLICE_OF(session_id), SLICE_OF(""), is_forwarding };

        ssh_bindings_record(&bindings, &binding, is_verified);
}

static Sample blob_sample, data_sample, host_sample;
static SshUse use;

/* What the rules say of it; @host: 0: not host-bound. */
static SshWhy check_auth(const char *session_id, const char *user, char host) {
        WireSlice blob = sample_key(&blob_sample, 'k');
        SshSignRequest request = {
                .blob = blob,
                .data = sample_auth(&data_sample, session_id, user, "ssh-ed25519", blob,
                                    host ? sample_key(&host_sample, host) : (WireSlice){}),
        };

        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        return ssh_use_check(&use);
}

static SshWhy check_sshsig(const char *name_space) {
        SshSignRequest request = {
                .blob = sample_key(&blob_sample, 'k'),
                .data = sample_sshsig(&data_sample, name_space, "sha512", 64),
        };

        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        return ssh_use_check(&use);
}

/* Specification, 9.2, row by row. */
static void test_destinations(void **state) {
        static const struct {
                const char *name, *lines;
                struct {
                        const char *id;
                        char host;
                        bool is_forwarding, is_verified;
                } bound[2];
                bool has_failed;
                char host; /* in the request */
                SshWhy expect;
                SshProof proof;
        } cases[] = {
                { "1: a binding failed", "host = a", {}, true, 'a', SSH_WHY_BIND_FAILED, SSH_PROOF_SIGNATURE },
                { "1: any host will do", "host = any", {}, true, 'a', SSH_WHY_NONE, SSH_PROOF_SIGNATURE },
                { "2: another session",
                  "",
                  { { "x", 'a', false, true } },
                  false,
                  'a',
                  SSH_WHY_SESSION_MISMATCH,
                  SSH_PROOF_SIGNATURE },
                { "3: the forwarder's own",
                  "forwarded = yes",
                  { { "s", 'a', true, true } },
                  false,
                  0,
                  SSH_WHY_FORWARD_SIGN,
                  SSH_PROOF_NONE },
                { "4: forwarded",
                  "",
                  { { "x", 'a', true, true } },
                  false,
                  'b',
                  SSH_WHY_FORWARDED,
                  SSH_PROOF_SIGNATURE },
                { "4: forwarded, then bound",
                  "",
                  { { "x", 'a', true, true }, { "s", 'b', false, true } },
                  false,
                  'b',
                  SSH_WHY_FORWARDED,
                  SSH_PROOF_SIGNATURE },
                { "4: may be",
                  "forwarded = yes",
                  { { "x", 'a', true, true } },
                  false,
                  'b',
                  SSH_WHY_NONE,
                  SSH_PROOF_SIGNATURE },
                { "5: through another host",
                  "forwarded = yes\nvia = b",
                  { { "x", 'a', true, true } },
                  false,
                  'b',
                  SSH_WHY_VIA,
                  SSH_PROOF_SIGNATURE },
                { "5: not verified",
                  "forwarded = yes\nvia = a",
                  { { "x", 'a', true, false } },
                  false,
                  'b',
                  SSH_WHY_VIA,
                  SSH_PROOF_SIGNATURE },
                { "5: through this one",
                  "forwarded = yes\nvia = a",
                  { { "x", 'a', true, true } },
                  false,
                  'b',
                  SSH_WHY_NONE,
                  SSH_PROOF_SIGNATURE },
                { "6: another key",
                  "",
                  { { "s", 'b', false, true } },
                  false,
                  'a',
                  SSH_WHY_HOSTKEY_MISMATCH,
                  SSH_PROOF_SIGNATURE },
                { "6: the same key",
                  "host = a",
                  { { "s", 'a', false, true } },
                  false,
                  'a',
                  SSH_WHY_NONE,
                  SSH_PROOF_SIGNATURE },
                { "6: no binding", "host = a", {}, false, 'a', SSH_WHY_NONE, SSH_PROOF_SIGNATURE },
                { "7: verified", "host = a", { { "s", 'a', false, true } }, false, 0, SSH_WHY_NONE, SSH_PROOF_SESSION },
                { "7: claimed", "host = a", { { "s", 'a', false, false } }, false, 0, SSH_WHY_HOST, SSH_PROOF_NONE },
                { "7: claimed, and any host",
                  "",
                  { { "s", 'a', false, false } },
                  false,
                  0,
                  SSH_WHY_NONE,
                  SSH_PROOF_NONE },
                { "8: unknown", "host = a", {}, false, 0, SSH_WHY_HOST, SSH_PROOF_NONE },
                { "8: unknown, and any host", "", {}, false, 0, SSH_WHY_NONE, SSH_PROOF_NONE },
                { "9: another host", "host = a", {}, false, 'b', SSH_WHY_HOST, SSH_PROOF_SIGNATURE },
                { "9: an unlisted host", "host = a b", {}, false, 'z', SSH_WHY_HOST, SSH_PROOF_SIGNATURE },
                { "9: another host by session",
                  "host = a",
                  { { "s", 'b', false, true } },
                  false,
                  0,
                  SSH_WHY_HOST,
                  SSH_PROOF_SESSION },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                SshWhy why;

                set_up(cases[i].lines);
                for (size_t k = 0; k < 2 && cases[i].bound[k].id; ++k)
                        bind(cases[i].bound[k].id, cases[i].bound[k].host, cases[i].bound[k].is_forwarding,
                             cases[i].bound[k].is_verified);
                bindings.has_failed = cases[i].has_failed;
                why = check_auth("s", "root", cases[i].host);
                if (why != cases[i].expect || use.destination.proof != cases[i].proof)
                        fail_msg("%s: %s, %s", cases[i].name, ssh_why_name(why), ssh_proof_name(use.destination.proof));
        }
}

/* A host's certificate counts as its key. */
static void test_host_certificates(void **state) {
        Sample certificate;
        WireSlice blob = sample_key(&blob_sample, 'k');
        SshSignRequest request = { .blob = blob };

        set_up("host = a");
        request.data = sample_auth(&data_sample, "s", "root", "ssh-ed25519", blob,
                                   sample_certificate(&certificate, 'a', 2, true));
        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        assert_int_equal(ssh_use_check(&use), SSH_WHY_NONE);
        assert_string_equal(use.destination.host->name, "a");
}

static void test_order(void **state) {
        SshSignRequest request = { .blob = SLICE_OF("unknown") };

        set_up("access = list");
        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        assert_int_equal(ssh_use_check(&use), SSH_WHY_ACCESS);
        set_up("user = a");
        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        assert_int_equal(ssh_use_check(&use), SSH_WHY_UNKNOWN_KEY);
        assert_int_equal(check_auth("s", "b", 'a'), SSH_WHY_USER);
        assert_int_equal(check_auth("s", "a", 'a'), SSH_WHY_NONE);
        set_up("namespace = git");
        assert_int_equal(check_sshsig("file"), SSH_WHY_NAMESPACE);
        assert_int_equal(check_sshsig("git"), SSH_WHY_NONE);
        set_up("sign = auth");
        assert_int_equal(check_sshsig("git"), SSH_WHY_KIND);
}

/* 4.5: names and flags. */
static void test_algorithms(void **state) {
        static const struct {
                const char *algorithm;
                uint32_t flags;
                SshWhy expect, expect_sha1; /* with rsa-sha1 = no, yes */
        } cases[] = {
                { "rsa-sha2-512", 4, SSH_WHY_NONE, SSH_WHY_NONE },
                { "rsa-sha2-256", 2, SSH_WHY_NONE, SSH_WHY_NONE },
                { "rsa-sha2-256", 4, SSH_WHY_ALG, SSH_WHY_ALG },
                { "rsa-sha2-512", 2, SSH_WHY_ALG, SSH_WHY_ALG },
                { "ssh-rsa", 4, SSH_WHY_ALG, SSH_WHY_ALG },
                { "rsa-sha2-512", 0, SSH_WHY_RSA_SHA1, SSH_WHY_ALG },
                { "ssh-rsa", 0, SSH_WHY_RSA_SHA1, SSH_WHY_NONE },
                { "rsa-sha2-512", 6, SSH_WHY_FLAGS, SSH_WHY_FLAGS },
                { "rsa-sha2-512", 1, SSH_WHY_FLAGS, SSH_WHY_FLAGS },
                { "rsa-sha2-512", 12, SSH_WHY_FLAGS, SSH_WHY_FLAGS },
                { "rsa-sha2-512-cert-v01@openssh.com", 4, SSH_WHY_ALG, SSH_WHY_ALG },
        };

        for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); ++i) {
                bool sha1 = i >= ARRAY_SIZE(cases);
                SshWhy expect = sha1 ? cases[i % ARRAY_SIZE(cases)].expect_sha1 : cases[i].expect, why;
                WireSlice blob = sample_rsa(&blob_sample);
                SshSignRequest request = { .blob = blob, .flags = cases[i % ARRAY_SIZE(cases)].flags };

                set_up(sha1 ? "rsa-sha1 = yes" : "");
                request.data = sample_auth(&data_sample, "s", "root", cases[i % ARRAY_SIZE(cases)].algorithm, blob,
                                           (WireSlice){});
                ssh_use_init(&use, &rules, &bindings, &identities, &request);
                why = ssh_use_check(&use);
                if (why != expect)
                        fail_msg("%s with %u: %s", cases[i % ARRAY_SIZE(cases)].algorithm, request.flags,
                                 ssh_why_name(why));
        }
}

static void test_answers(void **state) {
        SshSignRequest request = { .blob = sample_rsa(&blob_sample), .flags = SSH_SIGN_SHA512 };

        set_up("");
        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        assert_int_equal(ssh_use_check_answer(&use, SLICE_OF("rsa-sha2-512")), SSH_WHY_NONE);
        assert_int_equal(ssh_use_check_answer(&use, SLICE_OF("rsa-sha2-256")), SSH_WHY_RSA_SHA1);
        assert_int_equal(ssh_use_check_answer(&use, SLICE_OF("ssh-rsa")), SSH_WHY_RSA_SHA1);
        request.flags = 0;
        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        assert_int_equal(ssh_use_check_answer(&use, SLICE_OF("ssh-rsa")), SSH_WHY_NONE);
        assert_int_equal(ssh_use_check_answer(&use, SLICE_OF("rsa-sha2-512")), SSH_WHY_RSA_SHA1);
}

static bool same_grant(const char *one, const char *other) {
        return strcmp(one, other) == 0;
}

/* 10.3: what one "yes" covers. */
static void test_grants(void **state) {
        char a_root[SHA256_TEXT_SIZE], other[SHA256_TEXT_SIZE];
        static const struct {
                const char *scope;
                bool same_user, same_host, same_via;
        } cases[] = {
                { "key", true, true, true },
                { "host", true, false, false },
                { "exact", false, false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char lines[128];

                (void)snprintf(lines, sizeof(lines), "confirm = grant:30\nforwarded = yes\ngrant-scope = %s",
                               cases[i].scope);
                set_up(lines);
                assert_int_equal(check_auth("s", "root", 'a'), SSH_WHY_NONE);
                assert_true(ssh_use_can_be_granted(&use));
                ssh_use_grant_name(&use, a_root);
                assert_int_equal(check_auth("t", "root", 'a'), SSH_WHY_NONE);
                ssh_use_grant_name(&use, other);
                assert_true(same_grant(a_root, other));
                assert_int_equal(check_auth("s", "git", 'a'), SSH_WHY_NONE);
                ssh_use_grant_name(&use, other);
                assert_int_equal(same_grant(a_root, other), cases[i].same_user);
                assert_int_equal(check_auth("s", "root", 'b'), SSH_WHY_NONE);
                ssh_use_grant_name(&use, other);
                assert_int_equal(same_grant(a_root, other), cases[i].same_host);
                bind("x", 'z', true, true);
                assert_int_equal(check_auth("s", "root", 'a'), SSH_WHY_NONE);
                ssh_use_grant_name(&use, other);
                assert_int_equal(same_grant(a_root, other), cases[i].same_via);
                /* An unknown server is no server. */
                assert_int_equal(check_auth("s", "root", 0), SSH_WHY_NONE);
                assert_int_equal(ssh_use_can_be_granted(&use), i == 0);
        }
        set_up("confirm = grant:30");
        assert_int_equal(check_sshsig("git"), SSH_WHY_NONE);
        assert_true(ssh_use_can_be_granted(&use));
        ssh_use_grant_name(&use, a_root);
        assert_int_equal(check_sshsig("file"), SSH_WHY_NONE);
        ssh_use_grant_name(&use, other);
        assert_false(same_grant(a_root, other));
        /* Another agent, or another source, is another grant, even with the same key. */
        (void)strcpy(rules.agent, "u");
        assert_int_equal(check_sshsig("git"), SSH_WHY_NONE);
        ssh_use_grant_name(&use, other);
        assert_false(same_grant(a_root, other));
        (void)strcpy(rules.agent, "t");
        (void)strcpy(rules.source, "worl");
        assert_int_equal(check_sshsig("git"), SSH_WHY_NONE);
        ssh_use_grant_name(&use, other);
        assert_false(same_grant(a_root, other));
        set_up("confirm = ask");
        assert_int_equal(check_sshsig("git"), SSH_WHY_NONE);
        assert_false(ssh_use_can_be_granted(&use));
}

static void test_record(void **state) {
        char record[SSH_RECORD_SIZE], log[SSH_RECORD_SIZE];
        SshLine line;

        set_up("confirm = grant:30\nforwarded = yes");
        bind("x", 'a', true, true);
        assert_int_equal(check_auth("s", "ro\not", 'b'), SSH_WHY_NONE);
        ssh_use_record(&use, SSH_WHY_NONE, 60, record);
        assert_non_null(strstr(record, "v=1\nsource=work\nagent=t\nkind=auth\nkey=SHA256:"));
        assert_non_null(
                strstr(record, "\nkeytype=ssh-ed25519\ncomment=the key\nuser=ro%0Aot\nhost=The B\nhostkey=SHA256:"));
        assert_non_null(strstr(record, "\nproof=signature\nvia=a\nnamespace=\nhash=\ncertkind=\ncertid=\nprincipals=\n"
                                       "validity=\ncommand=\nbytes="));
        assert_non_null(strstr(record, "\ngrant=30\ntimeout=60\n"));
        ssh_use_record(&use, SSH_WHY_HOST, 0, record);
        assert_non_null(strstr(record, "\ngrant=0\ntimeout=0\n"));
        assert_non_null(strstr(record, "\nverdict=deny\nwhy=host\n"));

        ssh_line_init(&line, SSH_LINE_LOG, log, sizeof(log));
        ssh_use_log(&use, &line);
        assert_non_null(strstr(log, " user=ro%0Aot host=b hostkey=SHA256:"));
        assert_non_null(strstr(log, " proof=signature via=a namespace=- hash=-"));
}

static void test_record_of_a_certificate(void **state) {
        SshSignRequest request = { .blob = sample_key(&blob_sample, 'k') };
        char record[SSH_RECORD_SIZE];

        set_up("sign = cert");
        request.data = sample_certificate(&data_sample, 'z', 1, false);
        ssh_use_init(&use, &rules, &bindings, &identities, &request);
        assert_int_equal(ssh_use_check(&use), SSH_WHY_NONE);
        ssh_use_record(&use, SSH_WHY_NONE, 60, record);
        assert_non_null(strstr(record, "\ncertkind=user\ncertid=key id\nprincipals=root,git\n"
                                       "validity=1970-01-01T00:00:00Z to forever\n"));
}

static int make_hosts(void **state) {
        Sample key;
        SshFingerprint fingerprint = ssh_blob_fingerprint(sample_key(&key, 'a'));

        memcpy(host_a, fingerprint.text, sizeof(host_a));
        fingerprint = ssh_blob_fingerprint(sample_key(&key, 'b'));
        memcpy(host_b, fingerprint.text, sizeof(host_b));
        return 0;
}

static int clean_up(void **state) {
        policy = ssh_policy_free(policy);
        ssh_identities_deinit(&identities);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_destinations), cmocka_unit_test(test_host_certificates),
                cmocka_unit_test(test_order),        cmocka_unit_test(test_algorithms),
                cmocka_unit_test(test_answers),      cmocka_unit_test(test_grants),
                cmocka_unit_test(test_record),       cmocka_unit_test(test_record_of_a_certificate),
        };

        return cmocka_run_group_tests(tests, make_hosts, clean_up);
}
