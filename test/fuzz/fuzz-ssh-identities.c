/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's answer, filtered: a subsequence of what came, and never one that is malformed. */
#include "fuzz.h"

#include <string.h>

#include "ssh/codec.h"
#include "ssh/identities.h"

static const char policy_text[] = "[source *]\nkey = comment:a* deny\nkey = type:ssh-rsa alias=key\nkey = * cert=no\n";

static SshRules make_rules(void) {
        static SshPolicy *policy;
        Diagnostics diagnostics = DIAGNOSTICS_INIT;

        if (!policy) {
                fuzz_check(ssh_policy_new(&policy) == 0);
                fuzz_check(ssh_policy_parse(policy, "", policy_text, strlen(policy_text), &diagnostics) == 0);
        }
        return ssh_policy_rules(policy, "work", "t");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t frame[SSH_FRAME_MAX];
        SshRules rules = make_rules();
        SshIdentitiesReader all, filtered;
        SshIdentities identities;
        WireSlice blob, comment, shown, shown_comment;
        size_t n_frame, n_shown = 0;

        if (n < 1 || n > SSH_MESSAGE_MAX)
                return 0;
        if (ssh_identities_init(&identities, &rules, (WireSlice){ data, n })) {
                fuzz_check(ssh_identities_decode((WireSlice){ data, n }, &all) != 0);
                return 0;
        }
        fuzz_check(identities.n <= identities.n_total && identities.n_total <= SSH_IDENTITIES_MAX);
        n_frame = ssh_identities_encode(&identities, frame);
        if (n_frame > 0) {
                fuzz_check(ssh_identities_decode((WireSlice){ data, n }, &all) == 0);
                fuzz_check(ssh_identities_decode((WireSlice){ frame + 4, n_frame - 4 }, &filtered) == 0);
                while (ssh_identities_next(&filtered, &shown, &shown_comment)) {
                        const SshIdentity *identity = identities.items + n_shown++;

                        do
                                fuzz_check(ssh_identities_next(&all, &blob, &comment));
                        while (!slice_equal(blob, shown));
                        fuzz_check(comment.n == 0 || comment.data[0] != 'a');
                        fuzz_check(slice_equal(shown_comment, comment) || slice_is(shown_comment, "key"));
                        fuzz_check(ssh_identities_find(&identities, shown) != NULL &&
                                   slice_equal(identity->blob, shown));
                }
                fuzz_check(n_shown == identities.n);
        }
        ssh_identities_deinit(&identities);
        return 0;
}
