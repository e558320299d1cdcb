/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests and fuzz targets: blobs and data as SSH has them, made by hand. */
#pragma once

#include <string.h>

#include "ssh/codec.h"
#include "ssh/message.h"

/** What is being built; @data is big enough for every test. */
typedef struct Sample {
        uint8_t data[8192];
        WireWriter writer;
} Sample;

static inline WireWriter *sample_begin(Sample *sample) {
        sample->writer = WIRE_WRITER_INIT(sample->data, sizeof(sample->data));
        return &sample->writer;
}

static inline WireSlice sample_end(const Sample *sample) {
        return (WireSlice){ sample->data, sample->writer.failed ? 0 : sample->writer.n };
}

static inline void sample_text(WireWriter *writer, const char *text) {
        ssh_write_slice(writer, SLICE_OF(text));
}

/** A plain ed25519 key, of 32 bytes of @seed. */
static inline WireSlice sample_key(Sample *sample, char seed) {
        WireWriter *writer = sample_begin(sample);
        uint8_t key[32];

        memset(key, seed, sizeof(key));
        sample_text(writer, "ssh-ed25519");
        ssh_write_string(writer, key, sizeof(key));
        return sample_end(sample);
}

/** An RSA key. */
static inline WireSlice sample_rsa(Sample *sample) {
        WireWriter *writer = sample_begin(sample);

        sample_text(writer, "ssh-rsa");
        ssh_write_string(writer, "\1\0\1", 3);
        sample_text(writer, "modulus");
        return sample_end(sample);
}

/** A certificate of sample_key(@seed); @kind: 1 or 2; not signed: what a CA signs. */
static inline WireSlice sample_certificate(Sample *sample, char seed, uint32_t kind, bool is_signed) {
        static const uint8_t principals[] = { 0, 0, 0, 4, 'r', 'o', 'o', 't', 0, 0, 0, 3, 'g', 'i', 't' };
        WireWriter *writer = sample_begin(sample);
        uint8_t key[32];

        memset(key, seed, sizeof(key));
        sample_text(writer, "ssh-ed25519-cert-v01@openssh.com");
        sample_text(writer, "nonce");
        ssh_write_string(writer, key, sizeof(key));
        ssh_write_u64(writer, 7);
        ssh_write_u32(writer, kind);
        sample_text(writer, "key id");
        ssh_write_string(writer, principals, sizeof(principals));
        ssh_write_u64(writer, 0);
        ssh_write_u64(writer, UINT64_MAX);
        sample_text(writer, "");
        sample_text(writer, "");
        sample_text(writer, "");
        sample_text(writer, "CA key");
        if (is_signed)
                sample_text(writer, "signature");
        return sample_end(sample);
}

/** A request to authenticate; @host_key without data: not host-bound. */
static inline WireSlice sample_auth(Sample *sample, const char *session_id, const char *user, const char *algorithm,
                                    WireSlice key, WireSlice host_key) {
        WireWriter *writer = sample_begin(sample);

        sample_text(writer, session_id);
        wire_writer_u8(writer, 50);
        sample_text(writer, user);
        sample_text(writer, "ssh-connection");
        sample_text(writer, host_key.data ? "publickey-hostbound-v00@openssh.com" : "publickey");
        wire_writer_u8(writer, 1);
        sample_text(writer, algorithm);
        ssh_write_slice(writer, key);
        if (host_key.data)
                ssh_write_slice(writer, host_key);
        return sample_end(sample);
}

/** What `ssh-keygen -Y sign` has signed. */
static inline WireSlice sample_sshsig(Sample *sample, const char *name_space, const char *hash, size_t n_digest) {
        WireWriter *writer = sample_begin(sample);
        uint8_t digest[64] = { 0xab, 0xcd };

        wire_writer_bytes(writer, "SSHSIG", 6);
        sample_text(writer, name_space);
        sample_text(writer, "");
        sample_text(writer, hash);
        ssh_write_string(writer, digest, n_digest);
        return sample_end(sample);
}
