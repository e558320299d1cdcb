/* SPDX-License-Identifier: Apache-2.0 */
/* A blob: its plain form is its own plain form, not longer, and has the same fingerprint. */
#include "fuzz.h"

#include <string.h>

#include "ssh/codec.h"
#include "ssh/key.h"
#include "ssh/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t plain[SSH_MESSAGE_MAX];
        WireWriter writer = WIRE_WRITER_INIT(plain, sizeof(plain));
        SshFingerprint fingerprint, again;
        SshKey key, other;

        if (n > SSH_MESSAGE_MAX)
                return 0;
        key = ssh_key_parse((WireSlice){ data, n });
        if (key.plain_type.n > 0)
                ssh_write_slice(&writer, key.plain_type);
        wire_writer_bytes(&writer, key.fields.data, key.fields.n);
        fuzz_check(!writer.failed && writer.n <= n);
        fuzz_check(key.is_certificate || (writer.n == n && (n == 0 || memcmp(plain, data, n) == 0)));

        other = ssh_key_parse((WireSlice){ plain, writer.n });
        fuzz_check(!other.is_certificate && ssh_key_plain_equal(&key, &other));
        fingerprint = ssh_key_fingerprint(&key);
        again = ssh_key_fingerprint(&other);
        fuzz_check(ssh_fingerprint_equal(&fingerprint, &again));
        fuzz_check(ssh_fingerprint_parse(fingerprint.text, &again) == 0);
        return 0;
}
