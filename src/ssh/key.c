/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/key.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/sha256.h"
#include "ssh/base64.h"
#include "ssh/codec.h"

#define FINGERPRINT_PREFIX "SHA256:"

/* Specification, 4.4. */
static const struct {
        const char *plain, *certificate;
        unsigned n_fields; /* behind the type: strings, or mpints, which are strings */
} types[] = {
        { "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", 1 },
        { "ssh-rsa", "ssh-rsa-cert-v01@openssh.com", 2 },
        { "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", 2 },
        { "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", 2 },
        { "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", 2 },
        { "sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", 2 },
        { "sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", 3 },
        { "ssh-mldsa44-ed25519@openssh.com", "ssh-mldsa44-ed25519-cert-v01@openssh.com", 1 },
};

/* A string[]: nothing but whole strings. */
static bool strings_are_whole(WireSlice list) {
        WireReader reader = WIRE_READER_INIT(list.data, list.n);

        while (reader.n > 0 && !reader.failed)
                (void)ssh_read_cstring(&reader);
        return wire_reader_finish(&reader) == 0;
}

int ssh_certificate_parse(WireSlice blob, bool is_signed, SshKey *ret_key) {
        WireReader reader = WIRE_READER_INIT(blob.data, blob.n);
        SshKey key = { .is_certificate = true };
        SshCertificate *certificate = &key.certificate;
        uint32_t kind;
        size_t i;

        key.type = ssh_read_cstring(&reader);
        for (i = 0; i < ARRAY_SIZE(types); ++i)
                if (slice_is(key.type, types[i].certificate))
                        break;
        if (i == ARRAY_SIZE(types))
                return SSH_KEY_E_MALFORMED;
        key.plain_type = SLICE_OF(types[i].plain);

        (void)ssh_read_string(&reader); /* nonce */
        key.fields.data = reader.data;
        for (unsigned k = 0; k < types[i].n_fields; ++k)
                (void)ssh_read_string(&reader);
        key.fields.n = (size_t)(reader.data - key.fields.data);

        certificate->serial = ssh_read_u64(&reader);
        kind = ssh_read_u32(&reader);
        certificate->key_id = ssh_read_string(&reader);
        certificate->principals = ssh_read_string(&reader);
        certificate->valid_after = ssh_read_u64(&reader);
        certificate->valid_before = ssh_read_u64(&reader);
        (void)ssh_read_string(&reader); /* critical options */
        (void)ssh_read_string(&reader); /* extensions */
        (void)ssh_read_string(&reader); /* reserved */
        (void)ssh_read_string(&reader); /* CA key */
        if (is_signed)
                (void)ssh_read_string(&reader);
        if (wire_reader_finish(&reader) || !strings_are_whole(certificate->principals))
                return SSH_KEY_E_MALFORMED;
        if (kind != SSH_CERTIFICATE_USER && kind != SSH_CERTIFICATE_HOST)
                return SSH_KEY_E_MALFORMED;

        certificate->kind = (SshCertificateKind)kind;
        *ret_key = key;
        return 0;
}

SshKey ssh_key_parse(WireSlice blob) {
        WireReader reader = WIRE_READER_INIT(blob.data, blob.n);
        SshKey key;

        if (ssh_certificate_parse(blob, true, &key) == 0)
                return key;
        key = (SshKey){ .fields = blob };
        key.type = ssh_read_cstring(&reader);
        if (reader.failed || key.type.n == 0)
                key.type = (WireSlice){};
        else
                key.fields = (WireSlice){ reader.data, reader.n };
        key.plain_type = key.type;
        return key;
}

bool ssh_key_plain_equal(const SshKey *a, const SshKey *b) {
        return slice_equal(a->plain_type, b->plain_type) && slice_equal(a->fields, b->fields);
}

SshFingerprint ssh_key_fingerprint(const SshKey *key) {
        char digest_text[BASE64_TEXT_SIZE(SHA256_SIZE)];
        uint8_t digest[SHA256_SIZE], length[4];
        SshFingerprint fingerprint;
        Sha256 hash;

        sha256_init(&hash);
        if (key->plain_type.n > 0) {
                WireWriter writer = WIRE_WRITER_INIT(length, sizeof(length));

                ssh_write_u32(&writer, (uint32_t)key->plain_type.n);
                sha256_add(&hash, length, sizeof(length));
                sha256_add(&hash, key->plain_type.data, key->plain_type.n);
        }
        sha256_add(&hash, key->fields.data, key->fields.n);
        sha256_finish(&hash, digest);

        (void)base64_encode(digest, sizeof(digest), digest_text);
        memcpy(fingerprint.text, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX));
        memcpy(fingerprint.text + strlen(FINGERPRINT_PREFIX), digest_text, 43); /* without its `=` */
        fingerprint.text[SSH_FINGERPRINT_SIZE - 1] = '\0';
        return fingerprint;
}

int ssh_fingerprint_parse(const char *text, SshFingerprint *ret_fingerprint) {
        char digest_text[BASE64_TEXT_SIZE(SHA256_SIZE)];
        uint8_t digest[SHA256_SIZE];
        size_t n;

        if (strlen(text) != SSH_FINGERPRINT_SIZE - 1 ||
            strncmp(text, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX)) != 0)
                return SSH_KEY_E_MALFORMED;
        memcpy(digest_text, text + strlen(FINGERPRINT_PREFIX), 43);
        memcpy(digest_text + 43, "=", 2);
        if (base64_decode(digest_text, 44, digest, sizeof(digest), &n))
                return SSH_KEY_E_MALFORMED;
        memcpy(ret_fingerprint->text, text, SSH_FINGERPRINT_SIZE);
        return 0;
}
