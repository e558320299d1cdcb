/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/use.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ssh/codec.h"
#include "ssh/pattern.h"

/* Names of several things with commas between them: as many as a value shows. */
#define LIST_SIZE (SSH_VALUE_MAX + 2)

void ssh_use_init(SshUse *use, const SshRules *rules, const SshBindings *bindings, const SshIdentities *identities,
                  const SshSignRequest *request) {
        *use = (SshUse){ .rules = rules, .bindings = bindings, .request = *request };
        use->identity = ssh_identities_find(identities, request->blob);
        use->settings = ssh_rules_settings(rules, use->identity ? use->identity->line : NULL);
}

/* What an RSA key's signature is, by the flags of the request. */
static const char *rsa_format(uint32_t flags) {
        return flags == SSH_SIGN_SHA512 ? "rsa-sha2-512" : flags == SSH_SIGN_SHA256 ? "rsa-sha2-256" : "ssh-rsa";
}

/* Which name goes with which key and flags: specification, 4.5. */
static bool algorithm_fits(const SshUse *use) {
        static const char suffix[] = "-cert-v01@openssh.com";
        const SshKey *key = &use->data.key;
        WireSlice name = use->data.algorithm;

        if (!ssh_key_is_rsa(key))
                return slice_equal(name, key->type);
        if (key->is_certificate) {
                size_t n_suffix = strlen(suffix);

                if (name.n < n_suffix || memcmp(name.data + name.n - n_suffix, suffix, n_suffix) != 0)
                        return false;
                name.n -= n_suffix;
        }
        return slice_is(name, rsa_format(use->request.flags));
}

static SshWhy check_flags(const SshUse *use, const SshKey *key) {
        uint32_t flags = use->request.flags;

        if ((flags & ~(SSH_SIGN_SHA256 | SSH_SIGN_SHA512)) != 0 || flags == (SSH_SIGN_SHA256 | SSH_SIGN_SHA512))
                return SSH_WHY_FLAGS;
        if (!ssh_key_is_rsa(key))
                return flags != 0 ? SSH_WHY_FLAGS : SSH_WHY_NONE;
        return flags == 0 && !use->settings.rsa_sha1 ? SSH_WHY_RSA_SHA1 : SSH_WHY_NONE;
}

static SshWhy check_auth(SshUse *use, const SshKey *key) {
        SshWhy why, where;

        /* Where it would go is evaluated first, so that the log also has it of what is refused for another reason. */
        where = ssh_destination_evaluate(use->rules, &use->settings, use->bindings, &use->data, &use->destination);
        why = !ssh_key_plain_equal(key, &use->data.key) ? SSH_WHY_KEY_MISMATCH
              : !algorithm_fits(use)                    ? SSH_WHY_ALG
                                                        : where;
        if (why != SSH_WHY_NONE)
                return why;
        return ssh_patterns_match(use->settings.user.items, use->settings.user.n, use->data.user) ? SSH_WHY_NONE
                                                                                                  : SSH_WHY_USER;
}

SshWhy ssh_use_check(SshUse *use) {
        SshKey key = ssh_key_parse(use->request.blob);
        SshWhy why;

        if (use->settings.access != SSH_ACCESS_FULL)
                return SSH_WHY_ACCESS;
        if (!use->identity)
                return SSH_WHY_UNKNOWN_KEY;
        why = check_flags(use, &key);
        if (why != SSH_WHY_NONE)
                return why;

        use->data = ssh_sign_data_classify(use->request.data);
        use->is_classified = true;
        if (!(use->settings.sign & BIT(use->data.kind)))
                return SSH_WHY_KIND;
        if (use->data.kind == SSH_KIND_AUTH)
                return check_auth(use, &key);
        if (use->data.kind == SSH_KIND_SSHSIG &&
            !ssh_patterns_match(use->settings.name_space.items, use->settings.name_space.n, use->data.name_space))
                return SSH_WHY_NAMESPACE;
        return SSH_WHY_NONE;
}

SshWhy ssh_use_check_answer(const SshUse *use, WireSlice format) {
        SshKey key = ssh_key_parse(use->request.blob);

        return ssh_key_is_rsa(&key) && !slice_is(format, rsa_format(use->request.flags)) ? SSH_WHY_RSA_SHA1
                                                                                         : SSH_WHY_NONE;
}

bool ssh_use_can_be_granted(const SshUse *use) {
        if (use->settings.confirm != SSH_CONFIRM_GRANT || !use->is_classified)
                return false;
        switch (use->data.kind) {
        case SSH_KIND_AUTH:
                return use->destination.proof != SSH_PROOF_NONE || use->settings.grant_scope == SSH_GRANT_SCOPE_KEY;
        case SSH_KIND_SSHSIG:
                return true;
        case SSH_KIND_CERT:
        case SSH_KIND_HOSTPROOF:
        case SSH_KIND_PAM:
        case SSH_KIND_PROBE:
        case SSH_KIND_RAW:
        case _SSH_KIND_N:
                break;
        }
        return false;
}

/* Each part ends with a NUL. Only a user name or a namespace comes from the client, and a cstring has no NUL. */
static void add_part(Sha256 *hash, const void *data, size_t n) {
        sha256_add(hash, data, n);
        sha256_add(hash, "", 1);
}

static void add_text(Sha256 *hash, const char *text) {
        add_part(hash, text, strlen(text));
}

void ssh_use_grant_name(const SshUse *use, char ret_name[static SHA256_TEXT_SIZE]) {
        bool is_auth = use->data.kind == SSH_KIND_AUTH;
        uint8_t digest[SHA256_SIZE];
        Sha256 hash;

        sha256_init(&hash);
        add_text(&hash, use->rules->source);
        add_text(&hash, use->rules->agent);
        add_text(&hash, use->identity->fingerprint.text);
        add_text(&hash, ssh_kind_name(use->data.kind));
        add_text(&hash, use->settings.grant_scope == SSH_GRANT_SCOPE_KEY    ? "key"
                        : use->settings.grant_scope == SSH_GRANT_SCOPE_HOST ? "host"
                                                                            : "exact");
        if (use->settings.grant_scope != SSH_GRANT_SCOPE_KEY) {
                if (is_auth) {
                        add_text(&hash, use->destination.key.text);
                        for (size_t i = 0; i < use->bindings->n; ++i)
                                if (use->bindings->bound[i].is_forwarding)
                                        add_text(&hash, use->bindings->bound[i].fingerprint.text);
                } else {
                        add_part(&hash, use->data.name_space.data, use->data.name_space.n);
                }
        }
        if (use->settings.grant_scope == SSH_GRANT_SCOPE_EXACT) {
                add_text(&hash, "user");
                add_part(&hash, use->data.user.data, use->data.user.n);
        }
        sha256_finish(&hash, digest);
        for (size_t i = 0; i < sizeof(digest); ++i)
                (void)sprintf(ret_name + 2 * i, "%02x", digest[i]);
}

/* Hosts that the agent is forwarded through: their names, or fingerprints. */
static const char *format_via(const SshUse *use, char buffer[static LIST_SIZE]) {
        size_t n = 0;

        buffer[0] = '\0';
        for (size_t i = 0; i < use->bindings->n && n < LIST_SIZE - 1; ++i) {
                const SshBound *bound = use->bindings->bound + i;
                const SshHost *host = ssh_rules_host(use->rules, &bound->fingerprint);

                if (!bound->is_forwarding)
                        continue;
                (void)snprintf(buffer + n, LIST_SIZE - n, "%s%s", n > 0 ? "," : "",
                               host ? host->name : bound->fingerprint.text);
                n = strlen(buffer);
        }
        return buffer;
}

/* A string[] with @separator between: as much as a value shows. */
static WireSlice format_strings(WireSlice strings, char separator, char buffer[static LIST_SIZE]) {
        WireReader reader = WIRE_READER_INIT(strings.data, strings.n);
        size_t n = 0;

        while (reader.n > 0 && !reader.failed && n < LIST_SIZE) {
                WireSlice text = ssh_read_string(&reader);

                if (n > 0)
                        buffer[n++] = separator;
                if (text.n > LIST_SIZE - n)
                        text.n = LIST_SIZE - n;
                if (text.n > 0)
                        memcpy(buffer + n, text.data, text.n);
                n += text.n;
        }
        return (WireSlice){ (const uint8_t *)buffer, n };
}

static const char *format_hex(WireSlice bytes, size_t n_max, char *buffer) {
        size_t n = bytes.n < n_max ? bytes.n : n_max;

        buffer[0] = '\0';
        for (size_t i = 0; i < n; ++i)
                (void)sprintf(buffer + 2 * i, "%02x", bytes.data[i]);
        return buffer;
}

/* A time of a certificate (seconds since 1970) in UTC; past the year 9999 there is no end. */
static const char *format_time(uint64_t seconds, char buffer[static 32]) {
        time_t now = (time_t)seconds;
        struct tm tm;

        if (seconds > UINT64_C(253402300799) || !gmtime_r(&now, &tm) ||
            strftime(buffer, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                return "forever";
        return buffer;
}

static const char *format_validity(const SshCertificate *certificate, char buffer[static LIST_SIZE]) {
        char after[32], before[32];

        (void)snprintf(buffer, LIST_SIZE, "%s to %s", format_time(certificate->valid_after, after),
                       format_time(certificate->valid_before, before));
        return buffer;
}

/* Where it goes: `host` and `hostkey` of log and record. */
static WireSlice host_name(const SshUse *use, bool with_label) {
        const SshHost *host = use->destination.host;

        if (use->data.kind == SSH_KIND_PAM)
                return use->data.hostname;
        if (!host)
                return (WireSlice){};
        return SLICE_OF(with_label && host->label ? host->label : host->name);
}

static SshFingerprint host_key(const SshUse *use) {
        if (use->data.kind == SSH_KIND_HOSTPROOF && use->is_classified)
                return ssh_blob_fingerprint(use->data.host_key);
        return use->destination.has_key ? use->destination.key : (SshFingerprint){};
}

static const char *kind_name(const SshUse *use) {
        return use->is_classified ? ssh_kind_name(use->data.kind) : "";
}

static const char *proof_name(const SshUse *use) {
        return use->is_classified && use->data.kind == SSH_KIND_AUTH ? ssh_proof_name(use->destination.proof) : "";
}

void ssh_use_record(const SshUse *use, SshWhy why, unsigned timeout_sec, char buffer[static SSH_RECORD_SIZE]) {
        const SshSignData *data = &use->data;
        const SshCertificate *certificate = &data->certificate.certificate;
        bool is_cert = use->is_classified && data->kind == SSH_KIND_CERT;
        char list[LIST_SIZE], hex[2 * 16 + 1];
        SshKey key = ssh_key_parse(use->request.blob);
        SshFingerprint fingerprint = ssh_key_fingerprint(&key), server = host_key(use);
        SshLine line;

        ssh_line_init(&line, SSH_LINE_RECORD, buffer, SSH_RECORD_SIZE);
        ssh_line_text(&line, "v", "1");
        ssh_line_text(&line, "source", use->rules->source);
        ssh_line_text(&line, "agent", use->rules->agent);
        ssh_line_text(&line, "kind", kind_name(use));
        ssh_line_text(&line, "key", fingerprint.text);
        ssh_line_bytes(&line, "keytype", key.type);
        ssh_line_bytes(&line, "comment", use->identity ? use->identity->comment : (WireSlice){});
        ssh_line_bytes(&line, "user", data->user);
        ssh_line_bytes(&line, "host", host_name(use, true));
        ssh_line_text(&line, "hostkey", server.text);
        ssh_line_text(&line, "proof", proof_name(use));
        ssh_line_text(&line, "via", format_via(use, list));
        ssh_line_bytes(&line, "namespace", data->name_space);
        ssh_line_bytes(&line, "hash", data->hash);
        ssh_line_text(&line, "certkind", !is_cert ? "" : certificate->kind == SSH_CERTIFICATE_USER ? "user" : "host");
        ssh_line_bytes(&line, "certid", certificate->key_id);
        ssh_line_bytes(&line, "principals", format_strings(certificate->principals, ',', list));
        ssh_line_text(&line, "validity", is_cert ? format_validity(certificate, list) : "");
        ssh_line_bytes(&line, "command", format_strings(data->command, ' ', list));
        ssh_line_number(&line, "bytes", use->request.data.n);
        ssh_line_number(&line, "grant", timeout_sec > 0 && ssh_use_can_be_granted(use) ? use->settings.grant_sec : 0);
        ssh_line_number(&line, "timeout", timeout_sec);
        ssh_line_text(&line, "digest", format_hex(data->digest, 8, hex));
        ssh_line_text(&line, "start", format_hex(data->start, 16, hex));
        ssh_line_text(&line, "verdict", timeout_sec > 0 ? "" : why == SSH_WHY_NONE ? "allow" : "deny");
        ssh_line_text(&line, "why", timeout_sec > 0 || why == SSH_WHY_NONE ? "" : ssh_why_name(why));
}

void ssh_use_log(const SshUse *use, SshLine *line) {
        const SshSignData *data = &use->data;
        SshKey key = ssh_key_parse(use->request.blob);
        SshFingerprint fingerprint = ssh_key_fingerprint(&key), server = host_key(use);
        char list[LIST_SIZE];

        ssh_line_text(line, "kind", kind_name(use));
        ssh_line_text(line, "key", fingerprint.text);
        ssh_line_bytes(line, "type", key.type);
        ssh_line_bytes(line, "comment", use->identity ? use->identity->comment : (WireSlice){});
        ssh_line_bytes(line, "alg", data->algorithm);
        ssh_line_bytes(line, "user", data->user);
        ssh_line_bytes(line, "host", host_name(use, false));
        ssh_line_text(line, "hostkey", server.text);
        ssh_line_text(line, "proof", proof_name(use));
        ssh_line_text(line, "via", format_via(use, list));
        ssh_line_bytes(line, "namespace", data->name_space);
        ssh_line_bytes(line, "hash", data->hash);
        if (use->is_classified && data->kind == SSH_KIND_CERT)
                ssh_line_bytes(line, "certid", data->certificate.certificate.key_id);
        if (use->request.flags != 0)
                ssh_line_number(line, "flags", use->request.flags);
}
