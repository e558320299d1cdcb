/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ssh/base64.h"
#include "ssh/test-sample.h"

/* Public keys, and what `ssh-keygen -lf` (OpenSSH 9.2) says of them. */
static const struct {
        const char *name, *blob, *fingerprint;
        bool is_certificate;
} keys[] = {
#include "ssh/test-keys.h"
};

static WireSlice decode(const char *text, uint8_t *buffer, size_t n_buffer) {
        size_t n;

        assert_int_equal(base64_decode(text, strlen(text), buffer, n_buffer, &n), 0);
        return (WireSlice){ buffer, n };
}

static void test_fingerprints(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(keys); ++i) {
                uint8_t buffer[2048];
                WireSlice blob = decode(keys[i].blob, buffer, sizeof(buffer));
                SshKey key = ssh_key_parse(blob);
                SshFingerprint fingerprint = ssh_key_fingerprint(&key), again;

                if (strcmp(fingerprint.text, keys[i].fingerprint) != 0)
                        fail_msg("%s: got %s, want %s", keys[i].name, fingerprint.text, keys[i].fingerprint);
                if (key.is_certificate != keys[i].is_certificate)
                        fail_msg("%s: certificate %d", keys[i].name, key.is_certificate);
                assert_int_equal(ssh_fingerprint_parse(fingerprint.text, &again), 0);
                assert_true(ssh_fingerprint_equal(&fingerprint, &again));
        }
}

static void test_certificate(void **state) {
        Sample sample, plain_sample, other_sample;
        WireSlice blob = sample_certificate(&sample, 'k', 1, true);
        SshKey key = ssh_key_parse(blob), plain = ssh_key_parse(sample_key(&plain_sample, 'k')),
               other = ssh_key_parse(sample_key(&other_sample, 'o'));

        assert_true(key.is_certificate);
        assert_true(slice_is(key.plain_type, "ssh-ed25519"));
        assert_true(ssh_key_plain_equal(&key, &plain));
        assert_false(ssh_key_plain_equal(&key, &other));
        assert_true(slice_is(key.certificate.key_id, "key id"));
        assert_int_equal(key.certificate.kind, SSH_CERTIFICATE_USER);
        assert_true(key.certificate.serial == 7 && key.certificate.valid_before == UINT64_MAX);
}

static void test_certificates_refused(void **state) {
        Sample sample;
        WireSlice blob = sample_certificate(&sample, 'k', 1, true);
        SshKey key;

        /* Each prefix, and a byte more. */
        for (size_t n = 0; n <= blob.n + 1; ++n) {
                int r = ssh_certificate_parse((WireSlice){ sample.data, n }, true, &key);

                if (r != (n == blob.n ? 0 : SSH_KEY_E_MALFORMED))
                        fail_msg("%zu bytes of %zu: %d", n, blob.n, r);
        }
        assert_int_equal(ssh_certificate_parse(sample_certificate(&sample, 'k', 1, false), true, &key),
                         SSH_KEY_E_MALFORMED);
        assert_int_equal(ssh_certificate_parse(sample_certificate(&sample, 'k', 1, true), false, &key),
                         SSH_KEY_E_MALFORMED);
        assert_int_equal(ssh_certificate_parse(sample_certificate(&sample, 'k', 2, false), false, &key), 0);
        assert_int_equal(key.certificate.kind, SSH_CERTIFICATE_HOST);
        assert_int_equal(ssh_certificate_parse(sample_certificate(&sample, 'k', 0, true), true, &key),
                         SSH_KEY_E_MALFORMED);
        assert_int_equal(ssh_certificate_parse(sample_certificate(&sample, 'k', 3, true), true, &key),
                         SSH_KEY_E_MALFORMED);
        assert_int_equal(ssh_certificate_parse(sample_key(&sample, 'k'), true, &key), SSH_KEY_E_MALFORMED);
}

/* What is not understood is itself. */
static void test_other_blobs(void **state) {
        static const struct {
                const char *name, *blob;
                size_t n, n_type;
        } cases[] = {
#define CASE(_name, _blob, _n_type) { _name, _blob, sizeof(_blob) - 1, _n_type }
                CASE("unknown type",
                     "\0\0\0\3new"
                     "rest",
                     3),
                CASE("nothing", "", 0),
                CASE("no whole type", "\0\0\0\5new", 0),
                CASE("empty type", "\0\0\0\0rest", 0),
                CASE("NUL in the type", "\0\0\0\3n\0w", 0),
                CASE("damaged certificate",
                     "\0\0\0\40ssh-ed25519-cert-v01@openssh.com"
                     "rest",
                     32),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                SshKey key = ssh_key_parse((WireSlice){ (const uint8_t *)cases[i].blob, cases[i].n });

                if (key.type.n != cases[i].n_type || key.is_certificate || !slice_equal(key.type, key.plain_type))
                        fail_msg("%s: type of %zu", cases[i].name, key.type.n);
        }
}

static void test_fingerprint_parse(void **state) {
        static const char good[] = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";
        SshFingerprint fingerprint;

        assert_int_equal(ssh_fingerprint_parse(good, &fingerprint), 0);
        assert_int_equal(ssh_fingerprint_parse("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOq", &fingerprint),
                         SSH_KEY_E_MALFORMED);
        assert_int_equal(ssh_fingerprint_parse("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU=", &fingerprint),
                         SSH_KEY_E_MALFORMED);
        /* The last digit has two bits that no hash sets. */
        assert_int_equal(ssh_fingerprint_parse("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqV", &fingerprint),
                         SSH_KEY_E_MALFORMED);
        assert_int_equal(ssh_fingerprint_parse("sha256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", &fingerprint),
                         SSH_KEY_E_MALFORMED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fingerprints),         cmocka_unit_test(test_certificate),
                cmocka_unit_test(test_certificates_refused), cmocka_unit_test(test_other_blobs),
                cmocka_unit_test(test_fingerprint_parse),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
