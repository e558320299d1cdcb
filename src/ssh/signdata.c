/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/signdata.h"

#include <string.h>

#include "base/cleanup.h"
#include "ssh/codec.h"

#define USERAUTH_REQUEST     50
#define PAM_USERAUTH_REQUEST 54
#define PAM_COOKIE_TYPE      101
#define SSHSIG_MAGIC         "SSHSIG"
#define RAW_SHOWN            16

/* The rest of a request to authenticate with a public key, behind the service's name (RFC 4252, 7). */
static void read_public_key(WireReader *reader, const char *method, SshSignData *data) {
        WireSlice name = ssh_read_cstring(reader);

        if (!slice_is(name, method) || wire_reader_u8(reader) != 1)
                reader->failed = true;
        data->algorithm = ssh_read_cstring(reader);
        data->key = ssh_key_parse(ssh_read_string(reader));
}

static bool match_auth(WireSlice untrusted_data, bool is_host_bound, SshSignData *ret_data) {
        WireReader reader = WIRE_READER_INIT(untrusted_data.data, untrusted_data.n);
        SshSignData data = { .kind = SSH_KIND_AUTH, .is_host_bound = is_host_bound };

        data.session_id = ssh_read_string(&reader);
        if (data.session_id.n == 0 || wire_reader_u8(&reader) != USERAUTH_REQUEST)
                return false;
        data.user = ssh_read_cstring(&reader);
        if (!slice_is(ssh_read_cstring(&reader), "ssh-connection"))
                return false;
        read_public_key(&reader, is_host_bound ? "publickey-hostbound-v00@openssh.com" : "publickey", &data);
        if (is_host_bound)
                data.host_key = ssh_read_string(&reader);
        if (wire_reader_finish(&reader))
                return false;
        *ret_data = data;
        return true;
}

static bool match_sshsig(WireSlice untrusted_data, SshSignData *ret_data) {
        WireReader reader = WIRE_READER_INIT(untrusted_data.data, untrusted_data.n);
        SshSignData data = { .kind = SSH_KIND_SSHSIG };
        size_t n_digest;

        if (!slice_is(wire_reader_bytes(&reader, strlen(SSHSIG_MAGIC)), SSHSIG_MAGIC))
                return false;
        data.name_space = ssh_read_cstring(&reader);
        if (ssh_read_string(&reader).n > 0) /* reserved */
                return false;
        data.hash = ssh_read_cstring(&reader);
        data.digest = ssh_read_string(&reader);
        n_digest = slice_is(data.hash, "sha256") ? 32 : slice_is(data.hash, "sha512") ? 64 : 0;
        if (wire_reader_finish(&reader) || data.name_space.n == 0 || n_digest == 0 || data.digest.n != n_digest)
                return false;
        *ret_data = data;
        return true;
}

static bool match_cert(WireSlice untrusted_data, SshSignData *ret_data) {
        SshSignData data = { .kind = SSH_KIND_CERT };

        if (ssh_certificate_parse(untrusted_data, false, &data.certificate))
                return false;
        *ret_data = data;
        return true;
}

static bool match_hostproof(WireSlice untrusted_data, SshSignData *ret_data) {
        WireReader reader = WIRE_READER_INIT(untrusted_data.data, untrusted_data.n);
        SshSignData data = { .kind = SSH_KIND_HOSTPROOF };

        if (!slice_is(ssh_read_cstring(&reader), "hostkeys-prove-00@openssh.com"))
                return false;
        data.session_id = ssh_read_string(&reader);
        data.host_key = ssh_read_string(&reader);
        if (wire_reader_finish(&reader))
                return false;
        *ret_data = data;
        return true;
}

/* The "session id" of pam_ssh_agent_auth: what it authorises. */
static bool read_pam_cookie(WireSlice cookie, SshSignData *data) {
        WireReader reader = WIRE_READER_INIT(cookie.data, cookie.n), action;
        WireSlice text;
        uint32_t n_words;

        if (ssh_read_u32(&reader) != PAM_COOKIE_TYPE)
                return false;
        (void)ssh_read_string(&reader);  /* random */
        (void)ssh_read_cstring(&reader); /* user */
        (void)ssh_read_cstring(&reader); /* ruser */
        (void)ssh_read_cstring(&reader); /* service */
        (void)ssh_read_cstring(&reader); /* directory */
        text = ssh_read_string(&reader);
        data->hostname = ssh_read_cstring(&reader);
        (void)ssh_read_u64(&reader); /* time */
        if (wire_reader_finish(&reader))
                return false;
        if (text.n == 0)
                return true;

        action = WIRE_READER_INIT(text.data, text.n);
        n_words = ssh_read_u32(&action);
        data->command = (WireSlice){ action.data, action.n };
        while (n_words > 0 && !action.failed) {
                (void)ssh_read_cstring(&action);
                --n_words;
        }
        return wire_reader_finish(&action) == 0;
}

static bool match_pam(WireSlice untrusted_data, SshSignData *ret_data) {
        WireReader reader = WIRE_READER_INIT(untrusted_data.data, untrusted_data.n);
        SshSignData data = { .kind = SSH_KIND_PAM };
        WireSlice cookie = ssh_read_string(&reader);

        if (wire_reader_u8(&reader) != PAM_USERAUTH_REQUEST || !read_pam_cookie(cookie, &data))
                return false;
        data.user = ssh_read_cstring(&reader);
        if (!slice_is(ssh_read_cstring(&reader), "pam_ssh_agent_auth"))
                return false;
        read_public_key(&reader, "publickey", &data);
        if (wire_reader_finish(&reader))
                return false;
        *ret_data = data;
        return true;
}

SshSignData ssh_sign_data_classify(WireSlice untrusted_data) {
        SshSignData data;

        if (!match_auth(untrusted_data, false, &data) && !match_auth(untrusted_data, true, &data) &&
            !match_sshsig(untrusted_data, &data) && !match_cert(untrusted_data, &data) &&
            !match_hostproof(untrusted_data, &data) && !match_pam(untrusted_data, &data))
                data = (SshSignData){ .kind = untrusted_data.n == SSH_PROBE_SIZE ? SSH_KIND_PROBE : SSH_KIND_RAW };
        data.n = untrusted_data.n;
        data.start = untrusted_data;
        if (data.start.n > RAW_SHOWN)
                data.start.n = RAW_SHOWN;
        return data;
}

const char *ssh_kind_name(SshKind kind) {
        static const char *const names[_SSH_KIND_N] = {
                [SSH_KIND_AUTH] = "auth", [SSH_KIND_SSHSIG] = "sshsig",
                [SSH_KIND_CERT] = "cert", [SSH_KIND_HOSTPROOF] = "hostproof",
                [SSH_KIND_PAM] = "pam",   [SSH_KIND_PROBE] = "probe",
                [SSH_KIND_RAW] = "raw",
        };

        return names[kind];
}
