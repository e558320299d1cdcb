/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled policy decides as somebody would who goes through the rules one by one and compares texts.
 *
 * Input: a line `SOURCE TARGET SERVICE [REQUESTED-SOURCE]` (TARGET `-`: none), then a policy. The inventory is the
 * tests' own.
 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "policy-oracle.h"
#include "policy/lexer.h"
#include "policy/test-house.h"

static bool read_request(PolicySlice line, OracleRequest *ret_request) {
        char *words[] = { ret_request->source, ret_request->target, ret_request->service,
                          ret_request->requested_source };
        PolicySlice word;
        size_t n = 0;

        while (policy_words_next(&line, &word)) {
                if (n == ARRAY_SIZE(words) || word.n >= ORACLE_TEXT_MAX || memchr(word.text, '\0', word.n))
                        return false;
                memcpy(words[n], word.text, word.n);
                words[n++][word.n] = '\0';
        }
        if (strcmp(ret_request->target, "-") == 0)
                ret_request->target[0] = '\0';
        return n >= 3;
}

/* Texts of the oracle end at a NUL, and have a size. */
static bool policy_is_too_odd(const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; ++i) {
                const PolicyRule *rule = &policy->rules[i];
                const PolicyAtom *texts[] = { rule->redirect.value, rule->default_target.value, rule->user };

                for (size_t k = 0; k < ARRAY_SIZE(texts); ++k)
                        if (texts[k] &&
                            (texts[k]->n >= ORACLE_TEXT_MAX - 16 || memchr(texts[k]->text, '\0', texts[k]->n)))
                                return true;
        }
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static const OracleInventory inventory = { house, ARRAY_SIZE(house) };
        PolicyLines lines = POLICY_LINES_INIT(((PolicySlice){ (const char *)data, n }));
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        OracleRequest request = {};
        PolicySlice line;
        int r;

        fuzz_check(facts);
        if (policy_utf8_check(lines.rest) || !policy_lines_next(&lines, &line) || !read_request(line, &request))
                return 0;
        r = policy_parse("fuzz", lines.rest, &diagnostics, &policy);
        fuzz_check(r >= 0);
        if (r == 0 && !policy_is_too_odd(policy))
                oracle_check(policy, facts, &inventory, &request);
        return 0;
}
