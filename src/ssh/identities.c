/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/identities.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ssh/codec.h"

void ssh_identities_deinit(SshIdentities *identities) {
        free(identities->message);
        free(identities->items);
        *identities = (SshIdentities){};
}

int ssh_identities_init(SshIdentities *identities, const SshRules *rules, WireSlice message) {
        _cleanup_(ssh_identities_deinit) SshIdentities filtered = {};
        SshIdentitiesReader reader;
        WireSlice blob, comment;

        if (ssh_identities_decode(message, &reader))
                return SSH_IDENTITIES_E_MALFORMED;
        filtered.n_total = reader.n_left;
        filtered.message = malloc(message.n);
        filtered.items = calloc(filtered.n_total + 1, sizeof(*filtered.items));
        if (!filtered.message || !filtered.items)
                return error_origin(-ENOMEM);
        memcpy(filtered.message, message.data, message.n);
        (void)ssh_identities_decode((WireSlice){ filtered.message, message.n }, &reader);

        while (ssh_identities_next(&reader, &blob, &comment)) {
                SshKey key = ssh_key_parse(blob);
                SshFingerprint fingerprint = ssh_key_fingerprint(&key);
                const SshKeyLine *line = ssh_rules_key(rules, &key, &fingerprint, comment);

                /* What does not say of which type it is cannot be used by anybody. */
                if (line && key.type.n > 0)
                        filtered.items[filtered.n++] = (SshIdentity){ blob, comment, fingerprint, line };
        }
        *identities = filtered;
        filtered = (SshIdentities){};
        return 0;
}

const SshIdentity *ssh_identities_find(const SshIdentities *identities, WireSlice untrusted_blob) {
        for (size_t i = 0; i < identities->n; ++i)
                if (slice_equal(identities->items[i].blob, untrusted_blob))
                        return identities->items + i;
        return NULL;
}

size_t ssh_identities_encode(const SshIdentities *identities, uint8_t *ret_frame) {
        WireWriter writer = WIRE_WRITER_INIT(ret_frame, SSH_FRAME_MAX), length = WIRE_WRITER_INIT(ret_frame, 4);

        ssh_write_u32(&writer, 0);
        wire_writer_u8(&writer, SSH_MESSAGE_IDENTITIES_ANSWER);
        ssh_write_u32(&writer, (uint32_t)identities->n);
        for (size_t i = 0; i < identities->n; ++i) {
                const SshIdentity *identity = identities->items + i;

                ssh_write_slice(&writer, identity->blob);
                ssh_write_slice(&writer, identity->line->alias ? SLICE_OF(identity->line->alias) : identity->comment);
        }
        ssh_write_u32(&length, (uint32_t)(writer.n - 4));
        return writer.failed ? 0 : writer.n;
}
