/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/directive.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/lexer.h"

static const struct {
        PolicySlice name;
        size_t n_parameters;
} directives[_POLICY_DIRECTIVE_N] = {
        [POLICY_DIRECTIVE_INCLUDE] = { { "!include", 8 }, 1 },
        [POLICY_DIRECTIVE_INCLUDE_DIR] = { { "!include-dir", 12 }, 1 },
        [POLICY_DIRECTIVE_INCLUDE_SERVICE] = { { "!include-service", 16 }, 3 },
        [POLICY_DIRECTIVE_COMPAT] = { { "!compat-4.0", 11 }, 0 },
};

int policy_directive_parse(PolicyContext *context, unsigned kinds, PolicySlice line, PolicyDirective *ret_directive) {
        PolicySlice word = {}, parameters[3] = {};
        PolicyDirective directive = {};
        unsigned kind = 0;
        int r;

        (void)policy_words_next(&line, &word);
        while (kind < _POLICY_DIRECTIVE_N && !policy_slice_equal(word, directives[kind].name))
                ++kind;
        if (kind == _POLICY_DIRECTIVE_N || !(kinds & BIT(kind))) {
                context->word = word;
                return policy_context_fail(context, "invalid directive");
        }
        if (policy_words_count(line) != directives[kind].n_parameters) {
                context->word = word;
                return policy_context_fail(context, "invalid number of params");
        }
        for (size_t i = 0; i < directives[kind].n_parameters; ++i)
                (void)policy_words_next(&line, &parameters[i]);

        directive.kind = (PolicyDirectiveKind)kind;
        directive.path = parameters[0];
        if (kind == POLICY_DIRECTIVE_INCLUDE_SERVICE) {
                r = policy_subject_parse(context, parameters[0], parameters[1], &directive.subject);
                if (r)
                        return r;
                directive.path = parameters[2];
        }
        *ret_directive = directive;
        return 0;
}

char *policy_old_translate(PolicySlice line) {
        static const char old[] = "$include:", new[] = "!include ";
        char *text = malloc(line.n + 1), *found = text;

        if (!text)
                return NULL;
        memcpy(text, line.text, line.n);
        text[line.n] = '\0';
        while ((found = memmem(found, (size_t)(text + line.n - found), old, sizeof(old) - 1)))
                memcpy(found, new, sizeof(new) - 1);
        for (size_t i = 0; i < line.n; ++i) {
                if (text[i] == '$')
                        text[i] = '@';
                else if (text[i] == ',')
                        text[i] = ' ';
        }
        return text;
}
