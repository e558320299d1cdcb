/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked to be signed: what the filter believes it to be, built again from what it showed, is what it is. So no
 * user, host or namespace can be shown that is not signed, and nothing signed beside it.
 */
#include "fuzz.h"

#include <string.h>

#include "ssh/codec.h"
#include "ssh/message.h"
#include "ssh/signdata.h"

static uint8_t built[SSH_FRAME_MAX];

static void write_text(WireWriter *writer, const char *text) {
        ssh_write_slice(writer, SLICE_OF(text));
}

/* The blob that @key was parsed from; a certificate's cannot be told from it. */
static bool write_key(WireWriter *writer, const SshKey *key) {
        if (key->is_certificate)
                return false;
        ssh_write_u32(writer, (uint32_t)(key->fields.n + (key->type.n > 0 ? 4 + key->type.n : 0)));
        if (key->type.n > 0)
                ssh_write_slice(writer, key->type);
        wire_writer_bytes(writer, key->fields.data, key->fields.n);
        return true;
}

static bool build(const SshSignData *data, WireWriter *writer) {
        switch (data->kind) {
        case SSH_KIND_AUTH:
                ssh_write_slice(writer, data->session_id);
                wire_writer_u8(writer, 50);
                ssh_write_slice(writer, data->user);
                write_text(writer, "ssh-connection");
                write_text(writer, data->is_host_bound ? "publickey-hostbound-v00@openssh.com" : "publickey");
                wire_writer_u8(writer, 1);
                ssh_write_slice(writer, data->algorithm);
                if (!write_key(writer, &data->key))
                        return false;
                if (data->is_host_bound)
                        ssh_write_slice(writer, data->host_key);
                return true;
        case SSH_KIND_SSHSIG:
                wire_writer_bytes(writer, "SSHSIG", 6);
                ssh_write_slice(writer, data->name_space);
                write_text(writer, "");
                ssh_write_slice(writer, data->hash);
                ssh_write_slice(writer, data->digest);
                return true;
        case SSH_KIND_HOSTPROOF:
                write_text(writer, "hostkeys-prove-00@openssh.com");
                ssh_write_slice(writer, data->session_id);
                ssh_write_slice(writer, data->host_key);
                return true;
        case SSH_KIND_CERT:
        case SSH_KIND_PAM:
        case SSH_KIND_PROBE:
        case SSH_KIND_RAW:
        case _SSH_KIND_N:
                break;
        }
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        WireWriter writer = WIRE_WRITER_INIT(built, sizeof(built));
        SshSignData found;

        if (n > SSH_MESSAGE_MAX)
                return 0;
        found = ssh_sign_data_classify((WireSlice){ data, n });
        fuzz_check(found.n == n && found.start.n <= 16);
        fuzz_check((found.kind == SSH_KIND_PROBE) <= (n == SSH_PROBE_SIZE));
        if (build(&found, &writer))
                fuzz_check(!writer.failed && writer.n == n && memcmp(built, data, n) == 0);
        return 0;
}
