/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys and certificates as SSH has them on the wire (split-ssh specification, 4.4). A blob's plain form P(b) is
 * the blob itself, or for a certificate that of the key in it; its fingerprint is the hash of that, so that a
 * certificate has the fingerprint of its key, as `ssh-add -l` shows it. Pure; slices point into the blob.
 */
#pragma once

#include <stdbool.h>

#include "wire/reader.h"

/** "SHA256:", 43 characters of base64, and a NUL. */
#define SSH_FINGERPRINT_SIZE 51

enum {
        _SSH_KEY_E_SUCCESS,
        SSH_KEY_E_MALFORMED,
};

typedef struct SshFingerprint {
        char text[SSH_FINGERPRINT_SIZE];
} SshFingerprint;

typedef enum SshCertificateKind {
        SSH_CERTIFICATE_USER = 1,
        SSH_CERTIFICATE_HOST = 2,
} SshCertificateKind;

/** What a certificate says. */
typedef struct SshCertificate {
        uint64_t serial, valid_after, valid_before;
        SshCertificateKind kind;
        WireSlice key_id;
        WireSlice principals; /* string[], each well-formed */
} SshCertificate;

typedef struct SshKey {
        WireSlice type;       /* as in the blob; empty: the blob does not begin with one */
        WireSlice plain_type; /* the key's, also for a certificate */
        WireSlice fields;     /* P(b) is plain_type as a string, then these bytes */
        bool is_certificate;
        SshCertificate certificate;
} SshKey;

/** ssh_key_parse() - look at a blob; cannot fail: what is no certificate of a known type is itself */
SshKey ssh_key_parse(WireSlice blob);

/**
 * ssh_certificate_parse() - a certificate's blob, all of it
 * @is_signed: false: one that is about to be signed: without the last field
 *
 * Return: 0 or SSH_KEY_E_MALFORMED (also: no certificate of a known type, neither a user's nor a host's).
 */
int ssh_certificate_parse(WireSlice blob, bool is_signed, SshKey *ret_key);

/** ssh_key_is_rsa() - does an RSA key sign here? */
static inline bool ssh_key_is_rsa(const SshKey *key) {
        return key->plain_type.n == 7 && __builtin_memcmp(key->plain_type.data, "ssh-rsa", 7) == 0;
}

/** ssh_key_plain_equal() - P(a) = P(b)? */
bool ssh_key_plain_equal(const SshKey *a, const SshKey *b);

/** ssh_key_fingerprint() - F(b); cannot fail */
SshFingerprint ssh_key_fingerprint(const SshKey *key);

/** ssh_blob_fingerprint() - that of the key in @blob */
static inline SshFingerprint ssh_blob_fingerprint(WireSlice blob) {
        SshKey key = ssh_key_parse(blob);

        return ssh_key_fingerprint(&key);
}

/** ssh_fingerprint_parse() - "SHA256:" and 43 characters. Return: 0 or SSH_KEY_E_MALFORMED */
int ssh_fingerprint_parse(const char *text, SshFingerprint *ret_fingerprint);

/** ssh_fingerprint_equal() - the same key? */
static inline bool ssh_fingerprint_equal(const SshFingerprint *a, const SshFingerprint *b) {
        return __builtin_strcmp(a->text, b->text) == 0;
}
