/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/assertion.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "policy/lexer.h"
#include "policy/quote.h"

typedef struct AssertionLine {
        const char *path;
        unsigned line;
        Diagnostics *reterr;
} AssertionLine;

/* Return: POLICY_ASSERTION_E_SYNTAX or a negative error */
static int assertion_fail(const AssertionLine *at, const char *message, PolicySlice about) {
        _cleanup_free_ char *shown = about.n > 0 ? policy_quote_new(about) : strdup("");
        int r;

        if (!shown)
                return error_origin(-ENOMEM);
        r = diagnostics_add(at->reterr, at->path, at->line, 0, "%s%s", message, shown);
        return r < 0 ? error_trace(r) : POLICY_ASSERTION_E_SYNTAX;
}

static int assertion_parse_outcome(const AssertionLine *at, PolicySlice word, PolicyOutcome *ret_outcome) {
        for (PolicyOutcome outcome = POLICY_OUTCOME_DENY; outcome <= POLICY_OUTCOME_ALLOW; ++outcome)
                if (policy_slice_equal(word, policy_slice(policy_outcome_name(outcome)))) {
                        *ret_outcome = outcome;
                        return 0;
                }
        return assertion_fail(at, "after the colon comes allow, ask or deny", (PolicySlice){});
}

static int assertion_parse_field(const AssertionLine *at, PolicySlice word, PolicyAssertion *assertion) {
        const char *sign = memchr(word.text, '=', word.n);
        PolicySlice key = word;

        if (!sign)
                return assertion_fail(at, "after the outcome come KEY=VALUE, not ", word);
        key.n = (size_t)(sign - word.text);
        for (size_t i = 0; i < ARRAY_SIZE(assertion->fields); ++i) {
                if (!policy_slice_equal(key, policy_slice(policy_field_name((PolicyField)i))))
                        continue;
                if (assertion->has_field[i])
                        return assertion_fail(at, "given twice: ", key);
                assertion->has_field[i] = true;
                assertion->fields[i] = policy_slice_skip(word, key.n + 1);
                return 0;
        }
        return assertion_fail(
                at,
                "a decision has target=, targets=, default_target=, user=, autostart=, notify=, relay= and "
                "service=, but not ",
                key);
}

int policy_assertion_parse(const char *path, unsigned line, PolicySlice text, Diagnostics *reterr,
                           PolicyAssertion *ret_assertion) {
        static const char form[] = "write 'SOURCE -> TARGET SERVICE: OUTCOME [KEY=VALUE …]'";
        const AssertionLine at = { path, line, reterr };
        PolicyAssertion assertion = { .line = line };
        PolicySlice word = {};
        int r;

        if (policy_line_says_nothing(text))
                return POLICY_ASSERTION_E_NOTHING;
        if (!policy_words_next(&text, &assertion.request.source) || !policy_words_next(&text, &word))
                return assertion_fail(&at, form, (PolicySlice){});
        if (policy_slice_equal(word, POLICY_SLICE("for")) &&
            (!policy_words_next(&text, &assertion.request.requested_source) || !policy_words_next(&text, &word)))
                return assertion_fail(&at, form, (PolicySlice){});
        if (!policy_slice_equal(word, POLICY_SLICE("->")) || !policy_words_next(&text, &assertion.request.target) ||
            !policy_words_next(&text, &assertion.request.service))
                return assertion_fail(&at, form, (PolicySlice){});
        word = assertion.request.service;
        if (word.n < 2 || word.text[word.n - 1] != ':')
                return assertion_fail(&at, "a colon should follow the service ", word);
        --assertion.request.service.n;
        if (!policy_words_next(&text, &word))
                word = (PolicySlice){};
        r = assertion_parse_outcome(&at, word, &assertion.outcome);
        while (r == 0 && policy_words_next(&text, &word))
                r = assertion_parse_field(&at, word, &assertion);
        if (r == 0)
                *ret_assertion = assertion;
        return r;
}

bool policy_assertion_holds(const PolicyAssertion *assertion, const PolicyDecision *decision) {
        if (assertion->outcome != decision->outcome)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(assertion->fields); ++i)
                if (assertion->has_field[i] &&
                    (!decision->fields[i] ||
                     !policy_slice_equal(assertion->fields[i], policy_slice(decision->fields[i]))))
                        return false;
        return true;
}

char *policy_assertion_format(const PolicyAssertion *assertion) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        if (!stream)
                return NULL;
        fputs(policy_outcome_name(assertion->outcome), stream);
        for (size_t i = 0; i < ARRAY_SIZE(assertion->fields); ++i) {
                _cleanup_free_ char *shown = NULL;

                if (!assertion->has_field[i])
                        continue;
                shown = policy_show_new(assertion->fields[i]);
                fprintf(stream, " %s=%s", policy_field_name((PolicyField)i), shown ?: "?");
        }
        (void)text_close(stream, &text);
        return text;
}
