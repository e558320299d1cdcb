/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/token.h"

#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "policy/quote.h"

#define IN_SOURCE    BIT(POLICY_PLACE_SOURCE)
#define IN_TARGET    BIT(POLICY_PLACE_TARGET)
#define IN_REDIRECT  BIT(POLICY_PLACE_REDIRECT)
#define IN_REQUESTED BIT(POLICY_PLACE_REQUESTED)

/* clang-format off */
static const struct {
        PolicyTokenKind kind;
        PolicySlice text;
        uint32_t places;
} keywords[] = {
        { POLICY_TOKEN_ANY,         { "*", 1 },                     IN_SOURCE | IN_TARGET },
        { POLICY_TOKEN_ANYVM,       { "@anyvm", 6 },                IN_SOURCE | IN_TARGET },
        { POLICY_TOKEN_ADMINVM,     { "@adminvm", 8 },              IN_SOURCE | IN_TARGET | IN_REDIRECT | IN_REQUESTED },
        { POLICY_TOKEN_DEFAULT,     { "@default", 8 },              IN_TARGET | IN_REQUESTED },
        { POLICY_TOKEN_DISPVM,      { "@dispvm", 7 },               IN_TARGET | IN_REDIRECT | IN_REQUESTED },
},
/* in the order in which they are tried (2.3) */
prefixes[] = {
        { POLICY_TOKEN_TYPE,        { "@type:", 6 },                IN_SOURCE | IN_TARGET },
        { POLICY_TOKEN_TAG,         { "@tag:", 5 },                 IN_SOURCE | IN_TARGET },
        { POLICY_TOKEN_DISPVM_BASE, { "@dispvm:", 8 },              IN_SOURCE | IN_TARGET | IN_REDIRECT | IN_REQUESTED },
        { POLICY_TOKEN_DISPVM_TAG,  { "@dispvm:@tag:", 13 },        IN_SOURCE | IN_TARGET },
};
/* clang-format on */

static const char *const place_names[] = {
        [POLICY_PLACE_SOURCE] = "source",
        [POLICY_PLACE_TARGET] = "target",
        [POLICY_PLACE_REDIRECT] = "redirect",
        [POLICY_PLACE_REQUESTED] = "intendedtarget",
};

/* @ret_prefix: the prefix that POLICY_TOKEN_E_EMPTY_VALUE is about */
static int policy_token_recognise(PolicyPlace place, PolicySlice text, PolicyTokenKind *ret_kind,
                                  PolicySlice *ret_value, PolicySlice *ret_prefix) {
        if (text.n == 0)
                return POLICY_TOKEN_E_EMPTY;

        for (size_t i = 0; i < ARRAY_SIZE(keywords); ++i) {
                if (!policy_slice_equal(text, keywords[i].text))
                        continue;
                if (!(keywords[i].places & BIT(place)))
                        return POLICY_TOKEN_E_INVALID;
                *ret_kind = keywords[i].kind;
                *ret_value = (PolicySlice){};
                return 0;
        }
        if (text.text[0] != '@') {
                *ret_kind = POLICY_TOKEN_NAME;
                *ret_value = text;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(prefixes); ++i) {
                PolicySlice value;

                if (!(prefixes[i].places & BIT(place)) || !policy_slice_begins(text, prefixes[i].text))
                        continue;
                value = policy_slice_skip(text, prefixes[i].text.n);
                if (value.n == 0) {
                        *ret_prefix = prefixes[i].text;
                        return POLICY_TOKEN_E_EMPTY_VALUE;
                }
                if (value.text[0] == '@')
                        continue;
                *ret_kind = prefixes[i].kind;
                *ret_value = value;
                return 0;
        }
        return POLICY_TOKEN_E_INVALID;
}

int policy_token_parse(PolicyPlace place, PolicySlice untrusted_text, PolicyTokenKind *ret_kind,
                       PolicySlice *ret_value) {
        PolicySlice prefix;

        return policy_token_recognise(place, untrusted_text, ret_kind, ret_value, &prefix);
}

const char *policy_token_error(int r, PolicyPlace place, PolicySlice untrusted_text, char *buffer, size_t n_buffer) {
        PolicySlice value, prefix = {};
        PolicyTokenKind kind;
        int n;

        switch (r) {
        case POLICY_TOKEN_E_EMPTY:
                n = snprintf(buffer, n_buffer, "invalid empty %s token", place_names[place]);
                break;
        case POLICY_TOKEN_E_EMPTY_VALUE:
                (void)policy_token_recognise(place, untrusted_text, &kind, &value, &prefix);
                n = snprintf(buffer, n_buffer, "invalid empty %.*s token: ", (int)prefix.n, prefix.text ?: "");
                break;
        default:
                n = snprintf(buffer, n_buffer, "invalid %s token: ", place_names[place]);
                break;
        }
        if (r != POLICY_TOKEN_E_EMPTY && n > 0 && (size_t)n + 3 < n_buffer)
                policy_quote(buffer + n, n_buffer - (size_t)n, untrusted_text);
        return buffer;
}

const char *policy_token_prefix(PolicyTokenKind kind) {
        for (size_t i = 0; i < ARRAY_SIZE(keywords); ++i)
                if (keywords[i].kind == kind)
                        return keywords[i].text.text;
        for (size_t i = 0; i < ARRAY_SIZE(prefixes); ++i)
                if (prefixes[i].kind == kind)
                        return prefixes[i].text.text;
        return "";
}
