/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/signdata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ssh/test-sample.h"

static Sample sample, key_sample, host_sample;

static WireSlice make_auth(void) {
        return sample_auth(&sample, "session", "root", "ssh-ed25519", sample_key(&key_sample, 'k'), (WireSlice){});
}

static WireSlice make_host_bound(void) {
        return sample_auth(&sample, "session", "root", "ssh-ed25519", sample_key(&key_sample, 'k'),
                           sample_key(&host_sample, 'h'));
}

static WireSlice make_sshsig(void) {
        return sample_sshsig(&sample, "file", "sha512", 64);
}

static WireSlice make_sshsig_256(void) {
        return sample_sshsig(&sample, "git", "sha256", 32);
}

static WireSlice make_cert(void) {
        return sample_certificate(&sample, 'k', 1, false);
}

static WireSlice make_hostproof(void) {
        WireWriter *writer = sample_begin(&sample);

        sample_text(writer, "hostkeys-prove-00@openssh.com");
        sample_text(writer, "session");
        ssh_write_slice(writer, sample_key(&host_sample, 'h'));
        return sample_end(&sample);
}

static void make_pam_with(const void *action, size_t n_action) {
        static Sample cookie;
        WireWriter *writer = sample_begin(&cookie);

        ssh_write_u32(writer, 101);
        sample_text(writer, "random");
        sample_text(writer, "me");
        sample_text(writer, "me");
        sample_text(writer, "sudo");
        sample_text(writer, "/home/me");
        ssh_write_string(writer, action, n_action);
        sample_text(writer, "desk");
        ssh_write_u64(writer, 1234567890);

        writer = sample_begin(&sample);
        ssh_write_slice(writer, sample_end(&cookie));
        wire_writer_u8(writer, 54);
        sample_text(writer, "root");
        sample_text(writer, "pam_ssh_agent_auth");
        sample_text(writer, "publickey");
        wire_writer_u8(writer, 1);
        sample_text(writer, "ssh-ed25519");
        ssh_write_slice(writer, sample_key(&key_sample, 'k'));
}

static WireSlice make_pam(void) {
        make_pam_with("\0\0\0\2\0\0\0\3cat\0\0\0\1x", 16);
        return sample_end(&sample);
}

static WireSlice make_pam_without_command(void) {
        make_pam_with("", 0);
        return sample_end(&sample);
}

static const struct {
        const char *name;
        WireSlice (*make)(void);
        SshKind kind;
} kinds[] = {
        { "auth", make_auth, SSH_KIND_AUTH },       { "host-bound auth", make_host_bound, SSH_KIND_AUTH },
        { "sshsig", make_sshsig, SSH_KIND_SSHSIG }, { "sshsig with SHA-256", make_sshsig_256, SSH_KIND_SSHSIG },
        { "cert", make_cert, SSH_KIND_CERT },       { "hostproof", make_hostproof, SSH_KIND_HOSTPROOF },
        { "pam", make_pam, SSH_KIND_PAM },          { "pam without a command", make_pam_without_command, SSH_KIND_PAM },
};

/* Each kind is itself; a byte less or more, at the end or missing anywhere else, is not. */
static void test_kinds(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(kinds); ++i) {
                WireSlice data = kinds[i].make();

                assert_true(data.n > 0);
                if (ssh_sign_data_classify(data).kind != kinds[i].kind)
                        fail_msg("%s: is %s", kinds[i].name, ssh_kind_name(ssh_sign_data_classify(data).kind));
                for (size_t n = 0; n < data.n; ++n)
                        if (ssh_sign_data_classify((WireSlice){ data.data, n }).kind != SSH_KIND_RAW)
                                fail_msg("%s: %zu bytes of %zu", kinds[i].name, n, data.n);
                if (ssh_sign_data_classify((WireSlice){ data.data, data.n + 1 }).kind != SSH_KIND_RAW)
                        fail_msg("%s: a byte more", kinds[i].name);
        }
}

static void test_fields(void **state) {
        SshSignData data = ssh_sign_data_classify(make_auth());

        assert_true(slice_is(data.session_id, "session") && slice_is(data.user, "root"));
        assert_true(slice_is(data.algorithm, "ssh-ed25519") && slice_is(data.key.type, "ssh-ed25519"));
        assert_false(data.is_host_bound);

        data = ssh_sign_data_classify(make_host_bound());
        assert_true(data.is_host_bound && slice_equal(data.host_key, sample_end(&host_sample)));

        data = ssh_sign_data_classify(make_sshsig());
        assert_true(slice_is(data.name_space, "file") && slice_is(data.hash, "sha512") && data.digest.n == 64);

        data = ssh_sign_data_classify(make_cert());
        assert_true(slice_is(data.certificate.certificate.key_id, "key id"));

        data = ssh_sign_data_classify(make_pam());
        assert_true(slice_is(data.user, "root") && slice_is(data.hostname, "desk") && data.command.n == 12);

        data = ssh_sign_data_classify(SLICE_OF("0123456789abcdefX"));
        assert_true(slice_is(data.start, "0123456789abcdef") && data.n == 17);
}

static void test_probe(void **state) {
        static uint8_t noise[SSH_PROBE_SIZE + 1];

        assert_int_equal(ssh_sign_data_classify((WireSlice){ noise, SSH_PROBE_SIZE - 1 }).kind, SSH_KIND_RAW);
        assert_int_equal(ssh_sign_data_classify((WireSlice){ noise, SSH_PROBE_SIZE }).kind, SSH_KIND_PROBE);
        assert_int_equal(ssh_sign_data_classify((WireSlice){ noise, SSH_PROBE_SIZE + 1 }).kind, SSH_KIND_RAW);
}

/* One byte changed. */
static void test_almost(void **state) {
        static const struct {
                const char *name;
                WireSlice (*make)(void);
                const char *find; /* the byte behind the first occurrence of this … */
                size_t n_find;
                uint8_t value; /* … becomes this */
        } cases[] = {
                { "auth: another message", make_auth, "session", 7, 51 },
                { "auth: no signature follows", make_auth, "publickey", 9, 0 },
                { "auth: another bool", make_auth, "publickey", 9, 2 },
                { "auth: NUL in the user", make_auth, "\4ro", 3, 0 },
                { "auth: another service", make_auth, "ssh-connectio", 13, 'm' },
                { "auth: another method", make_auth, "publicke", 8, 'x' },
                { "host-bound: another method", make_host_bound, "publickey-hostbound-v0", 22, '1' },
                { "sshsig: another magic", make_sshsig, "SSHSI", 5, 'H' },
                { "sshsig: another hash", make_sshsig, "sha51", 5, '3' },
                { "sshsig: hash of another size", make_sshsig_256, "sha", 3, '5' },
                { "cert: of a type that does not exist", make_cert, "ssh-ed25519-cert-v0", 19, '2' },
                { "hostproof: another name", make_hostproof, "hostkeys-prove-0", 16, '1' },
                { "pam: another message", make_pam, "I\x96\x02\xd2", 4, 50 },
                { "pam: another cookie", make_pam, "\0\0\0", 3, 0 },
                { "pam: more words than there are", make_pam, "\0\0\0\x10\0\0\0", 7, 3 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                WireSlice data = cases[i].make();
                uint8_t *place = memmem(sample.data, data.n, cases[i].find, cases[i].n_find);

                if (!place)
                        fail_msg("%s: the place is not there", cases[i].name);
                place[cases[i].n_find] = cases[i].value;
                if (ssh_sign_data_classify(data).kind != SSH_KIND_RAW)
                        fail_msg("%s: is %s", cases[i].name, ssh_kind_name(ssh_sign_data_classify(data).kind));
        }
}

static void test_refused_fields(void **state) {
        WireSlice none = {};

        assert_int_equal(ssh_sign_data_classify(sample_auth(&sample, "", "root", "a", SLICE_OF("k"), none)).kind,
                         SSH_KIND_RAW);
        assert_int_equal(ssh_sign_data_classify(sample_auth(&sample, "s", "", "a", SLICE_OF("k"), none)).kind,
                         SSH_KIND_AUTH);
        assert_int_equal(ssh_sign_data_classify(sample_sshsig(&sample, "", "sha512", 64)).kind, SSH_KIND_RAW);
        assert_int_equal(ssh_sign_data_classify(sample_sshsig(&sample, "n", "sha512", 63)).kind, SSH_KIND_RAW);
        assert_int_equal(ssh_sign_data_classify(sample_sshsig(&sample, "n", "sha256", 64)).kind, SSH_KIND_RAW);
        assert_int_equal(ssh_sign_data_classify(sample_sshsig(&sample, "n", "sha1", 20)).kind, SSH_KIND_RAW);
        assert_int_equal(ssh_sign_data_classify(sample_certificate(&sample, 'k', 3, false)).kind, SSH_KIND_RAW);
        assert_int_equal(ssh_sign_data_classify(sample_certificate(&sample, 'k', 1, true)).kind, SSH_KIND_RAW);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kinds),  cmocka_unit_test(test_fields),         cmocka_unit_test(test_probe),
                cmocka_unit_test(test_almost), cmocka_unit_test(test_refused_fields),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
