/* SPDX-License-Identifier: Apache-2.0 */
/* What was accepted, written in its canonical form and parsed again, is the same policy; and the form is stable. */
#include "fuzz.h"

#include <string.h>

#include "policy/policy.h"

static Policy *parse(PolicySlice text) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Policy *policy = NULL;
        int r = policy_parse("fuzz", text, &diagnostics, &policy);

        fuzz_check(r >= 0);
        fuzz_check((r == 0) == (diagnostics.n_entries == 0));
        fuzz_check((r == 0) == (policy != NULL));
        return policy;
}

/* All rules, one on a line. */
static char *format(const Policy *policy, size_t *ret_n) {
        char *text = NULL;
        FILE *stream = open_memstream(&text, ret_n);

        fuzz_check(stream);
        for (size_t i = 0; i < policy->n_rules; ++i) {
                size_t n = 0;
                char *rule = policy_rule_format(&policy->rules[i], &n);

                fuzz_check(rule);
                fwrite(rule, 1, n, stream);
                fputc('\n', stream);
                free(rule);
        }
        fuzz_check(fclose(stream) == 0);
        return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(policy_unrefp) Policy *policy = parse((PolicySlice){ (const char *)data, n });
        _cleanup_(policy_unrefp) Policy *again = NULL;
        _cleanup_free_ char *text = NULL, *stable = NULL;
        size_t n_text = 0, n_stable = 0;

        if (!policy)
                return 0;
        text = format(policy, &n_text);
        again = parse((PolicySlice){ text, n_text });
        fuzz_check(again);
        fuzz_check(again->n_rules == policy->n_rules);
        for (size_t i = 0; i < policy->n_rules; ++i)
                fuzz_check(policy_rule_equal(&policy->rules[i], &again->rules[i]));
        stable = format(again, &n_stable);
        fuzz_check(n_stable == n_text && memcmp(stable, text, n_text) == 0);
        return 0;
}
