/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration: what `--check-config` prints of it means the same. */
#include "fuzz.h"

#include <string.h>

#include "ssh/policy.h"

static SshPolicy *parse(const char *text, size_t n) {
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        SshPolicy *policy;
        int r;

        fuzz_check(ssh_policy_new(&policy) == 0);
        r = ssh_policy_parse(policy, "x", text, n, &diagnostics);
        r = r ?: ssh_policy_finish(policy, &diagnostics);
        fuzz_check((r == 0) == (diagnostics.n_entries == 0));
        diagnostics_deinit(&diagnostics);
        if (r)
                policy = ssh_policy_free(policy);
        return policy;
}

static char *format(const SshPolicy *policy) {
        SshRules rules = ssh_policy_rules(policy, "work", "t");
        char *text = ssh_rules_format(&rules);

        fuzz_check(text);
        return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        SshPolicy *policy, *again;
        char *text, *text_again;

        if (n > SSH_POLICY_MAX)
                return 0;
        policy = parse((const char *)data, n);
        if (!policy)
                return 0;
        text = format(policy);
        again = parse(text, strlen(text));
        /* All hosts are printed; a line may grow past what is allowed, for a word may have to be quoted. */
        if (again) {
                text_again = format(again);
                fuzz_check(strcmp(text, text_again) == 0);
                free(text_again);
        } else {
                fuzz_check(n > SSH_POLICY_LINE_MAX / 4);
        }
        ssh_policy_free(again);
        ssh_policy_free(policy);
        free(text);
        return 0;
}
