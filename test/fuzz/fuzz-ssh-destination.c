/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection that binds and logs in, in any order, against rules written the other way round. Input: which settings,
 * then two bytes each: what is done, and with which session and host key.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "ssh/settings.h"
#include "ssh/test-sample.h"
#include "ssh/use.h"

#define SESSIONS 20 /* more than bindings fit */
#define HOSTS    3  /* the first is the one that is allowed */

typedef struct Known {
        unsigned session, host;
        bool is_forwarding, is_verified;
} Known;

static Known known[SSH_BINDINGS_MAX];
static size_t n_known;

static WireSlice session_id(unsigned session) {
        static const char ids[] = "abcdefghijklmnopqrst";

        return (WireSlice){ (const uint8_t *)ids + session, 1 };
}

/* May it be bound? As an agent says. */
static bool model_binds(unsigned session, unsigned host) {
        for (size_t i = 0; i < n_known; ++i)
                if (!known[i].is_forwarding)
                        return false;
        for (size_t i = 0; i < n_known; ++i)
                if (known[i].session == session)
                        return known[i].host == host;
        return n_known < SSH_BINDINGS_MAX;
}

static void model_record(unsigned session, unsigned host, bool is_forwarding, bool is_verified) {
        for (size_t i = 0; i < n_known; ++i)
                if (known[i].session == session)
                        return;
        known[n_known++] = (Known){ session, host, is_forwarding, is_verified };
}

/* Is there anything that speaks for signing? @host: -1: the request does not say. */
static void model_check(const SshSettings *settings, bool has_failed, unsigned session, int host, SshWhy why) {
        const Known *last = n_known > 0 ? known + n_known - 1 : NULL;
        bool forwards = false, via_host = true, proven;

        for (size_t i = 0; i < n_known; ++i)
                if (known[i].is_forwarding) {
                        forwards = true;
                        via_host = via_host && known[i].is_verified && known[i].host == 0;
                }
        if (why != SSH_WHY_NONE)
                return;
        fuzz_check(settings->forwarded || !forwards);
        fuzz_check(settings->via.n == 0 || !forwards || via_host);
        fuzz_check(!last || last->is_forwarding != (last->session == session));
        proven = host == 0 || (host < 0 && last && !last->is_forwarding && last->session == session &&
                               last->is_verified && last->host == 0);
        fuzz_check(settings->host.n == 0 || (proven && !has_failed));
        if (host >= 0 && last && last->session == session)
                fuzz_check(last->host == (unsigned)host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static char *names[] = { (char *)"allowed" };
        static Sample keys[HOSTS], request_sample, own_sample;
        SshHost allowed = { .name = names[0], .n_keys = 1 };
        SshFingerprint fingerprint;
        SshBindings bindings = {};
        SshSettings settings = *ssh_settings_builtin();
        SshRules rules = { .hosts = &allowed, .n_hosts = 1 };
        WireSlice own = sample_key(&own_sample, 'k'), blobs[HOSTS];

        if (n < 1)
                return 0;
        for (unsigned i = 0; i < HOSTS; ++i)
                blobs[i] = sample_key(&keys[i], (char)('x' + i));
        fingerprint = ssh_blob_fingerprint(blobs[0]);
        allowed.keys = &fingerprint;
        n_known = 0;
        settings.forwarded = data[0] & 1;
        if (data[0] & 2)
                settings.host = (SshStrings){ names, 1 };
        if (data[0] & 4)
                settings.via = (SshStrings){ names, 1 };

        for (size_t i = 1; i + 1 < n; i += 2) {
                unsigned session = data[i + 1] % SESSIONS, host = data[i] / 64 % HOSTS;
                bool flag = data[i] & 8, is_verified = data[i] & 16;
                SshDestination destination;
                SshSignData sign_data;

                if (data[i] & 4) {
                        SshBinding binding = { blobs[host], session_id(session), SLICE_OF("s"), flag };
                        bool accepted = ssh_bindings_check(&bindings, &binding) == 0;

                        fuzz_check(accepted == model_binds(session, host));
                        if (accepted) {
                                ssh_bindings_record(&bindings, &binding, is_verified);
                                model_record(session, host, flag, is_verified);
                        } else {
                                bindings.has_failed = true;
                        }
                        fuzz_check(bindings.n == n_known && bindings.n <= SSH_BINDINGS_MAX);
                        continue;
                }
                sign_data = ssh_sign_data_classify(
                        sample_auth(&request_sample, (char[]){ (char)session_id(session).data[0], '\0' }, "user",
                                    "ssh-ed25519", own, flag ? blobs[host] : (WireSlice){}));
                fuzz_check(sign_data.kind == SSH_KIND_AUTH);
                model_check(&settings, bindings.has_failed, session, flag ? (int)host : -1,
                            ssh_destination_evaluate(&rules, &settings, &bindings, &sign_data, &destination));
        }
        return 0;
}
