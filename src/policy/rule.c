/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/rule.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "policy/lexer.h"
#include "policy/quote.h"

/** Room for a parameter list before it must grow; only for speed. */
#define PARAMETERS_MIN 8

/* Which word of the line the error that was added is about. */
static void policy_context_mark(PolicyContext *context) {
        PolicySlice whole = context->whole, word = context->word;
        Diagnostic *entry = &context->reterr->entries[context->reterr->n_entries - 1];

        context->word = (PolicySlice){};
        if (context->reterr->n_dropped > 0 || word.n == 0 || whole.n == 0 ||
            (uintptr_t)word.text < (uintptr_t)whole.text ||
            (uintptr_t)word.text + word.n > (uintptr_t)whole.text + whole.n)
                return;
        entry->mark = (unsigned)(word.text - whole.text) + 1;
        entry->n_mark = (unsigned)word.n;
}

int policy_context_fail(PolicyContext *context, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = diagnostics_add_list(context->reterr, context->path->text, context->line, 0, format, arguments);
        va_end(arguments);
        if (r < 0)
                return error_trace(r);
        policy_context_mark(context);
        return POLICY_RULE_E_SYNTAX;
}

int policy_context_fail_about(PolicyContext *context, const char *message, PolicySlice text, bool quoted) {
        _cleanup_free_ char *shown = quoted ? policy_quote_new(text) : policy_show_new(text);

        if (!shown)
                return error_origin(-ENOMEM);
        return policy_context_fail(context, "%s%s", message, shown);
}

static int policy_context_intern(PolicyContext *context, PolicySlice text, const PolicyAtom **ret_atom) {
        return error_trace(policy_atoms_intern(context->atoms, text, ret_atom));
}

static bool policy_service_character(uint32_t c, bool argument) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_' || (argument && c == '+');
}

static int policy_code_point_compare(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

/* The distinct invalid characters of @text in code point order; *@ret_n is 0 if there are none. */
static int policy_invalid_characters(PolicySlice text, bool argument, uint32_t **ret_characters, size_t *ret_n) {
        _cleanup_free_ uint32_t *characters = NULL;
        size_t n = 0, n_distinct = 0;

        characters = malloc((text.n ?: 1) * sizeof(*characters));
        if (!characters)
                return error_origin(-ENOMEM);
        while (text.n > 0) {
                uint32_t c = 0;
                size_t n_bytes = policy_utf8_decode(text, &c) ?: 1;

                if (!policy_service_character(c, argument))
                        characters[n++] = c;
                text = policy_slice_skip(text, n_bytes);
        }
        if (n > 1)
                qsort(characters, n, sizeof(*characters), policy_code_point_compare);
        for (size_t i = 0; i < n; ++i)
                if (n_distinct == 0 || characters[n_distinct - 1] != characters[i])
                        characters[n_distinct++] = characters[i];
        *ret_characters = steal_ptr(&characters);
        *ret_n = n_distinct;
        return 0;
}

static PolicySlice policy_utf8_encode(uint32_t c, char buffer[static 4]) {
        if (c < 0x80) {
                buffer[0] = (char)c;
                return (PolicySlice){ buffer, 1 };
        }
        if (c < 0x800) {
                buffer[0] = (char)(0xc0 | c >> 6);
                buffer[1] = (char)(0x80 | (c & 0x3f));
                return (PolicySlice){ buffer, 2 };
        }
        if (c < 0x10000) {
                buffer[0] = (char)(0xe0 | c >> 12);
                buffer[1] = (char)(0x80 | (c >> 6 & 0x3f));
                buffer[2] = (char)(0x80 | (c & 0x3f));
                return (PolicySlice){ buffer, 3 };
        }
        buffer[0] = (char)(0xf0 | c >> 18);
        buffer[1] = (char)(0x80 | (c >> 12 & 0x3f));
        buffer[2] = (char)(0x80 | (c >> 6 & 0x3f));
        buffer[3] = (char)(0x80 | (c & 0x3f));
        return (PolicySlice){ buffer, 4 };
}

/* "WHAT 'TEXT' contains invalid characters: ('/', '?')", with a comma after a single one */
static int policy_fail_characters(PolicyContext *context, const char *what, PolicySlice text,
                                  const uint32_t *characters, size_t n_characters) {
        _cleanup_free_ char *shown = policy_quote_new(text), *list = NULL;
        size_t n_list = 0;
        FILE *stream;
        int r;

        stream = open_memstream(&list, &n_list);
        if (!shown || !stream) {
                if (stream)
                        fclose(stream);
                return error_origin(-ENOMEM);
        }
        for (size_t i = 0; i < n_characters; ++i) {
                char bytes[4], quoted[POLICY_QUOTE_MAX(4)];

                fprintf(stream, "%s%s", i > 0 ? ", " : "",
                        policy_quote(quoted, sizeof(quoted), policy_utf8_encode(characters[i], bytes)));
        }
        r = text_close(stream, &list);
        if (r)
                return error_trace(r);
        return policy_context_fail(context, "%s %s contains invalid characters: (%s%s)", what, shown, list,
                                   n_characters == 1 ? "," : "");
}

static int policy_check_characters(PolicyContext *context, const char *what, PolicySlice text, bool argument) {
        _cleanup_free_ uint32_t *characters = NULL;
        size_t n_characters;
        int r;

        if (policy_slice_equal(text, POLICY_SLICE("*")))
                return 0;
        r = policy_invalid_characters(text, argument, &characters, &n_characters);
        if (r < 0)
                return error_trace(r);
        if (n_characters == 0)
                return 0;
        context->word = text;
        return policy_fail_characters(context, what, text, characters, n_characters);
}

int policy_subject_parse(PolicyContext *context, PolicySlice service, PolicySlice argument,
                         PolicySubject *ret_subject) {
        bool any_service = policy_slice_equal(service, POLICY_SLICE("*"));
        bool any_argument = policy_slice_equal(argument, POLICY_SLICE("*"));
        PolicySubject subject = {};
        int r;

        r = policy_check_characters(context, "service", service, false);
        if (r)
                return r;
        r = policy_check_characters(context, "argument", argument, true);
        if (r)
                return r;
        if (!any_argument && !policy_slice_begins(argument, POLICY_SLICE("+"))) {
                _cleanup_free_ char *shown = policy_quote_new(argument);

                if (!shown)
                        return error_origin(-ENOMEM);
                context->word = argument;
                return policy_context_fail(context, "argument %s does not start with +", shown);
        }
        if (any_service && !any_argument) {
                context->word = argument;
                return policy_context_fail(context, "only * argument allowed for * service");
        }

        if (!any_service) {
                r = policy_context_intern(context, service, &subject.service);
                if (r < 0)
                        return r;
        }
        if (!any_argument) {
                r = policy_context_intern(context, argument, &subject.argument);
                if (r < 0)
                        return r;
        }
        *ret_subject = subject;
        return 0;
}

/* @word: what the text is a part of */
static int policy_parse_token(PolicyContext *context, PolicyPlace place, PolicySlice text, PolicySlice word,
                              PolicyToken *ret_token) {
        PolicyTokenKind kind;
        PolicySlice value;
        PolicyToken token = {};
        int r;

        r = policy_token_parse(place, text, &kind, &value);
        if (r) {
                size_t n_buffer = 64 + POLICY_QUOTE_MAX(text.n); /* the longest message before the quoted text: 36 */
                _cleanup_free_ char *buffer = malloc(n_buffer);

                if (!buffer)
                        return error_origin(-ENOMEM);
                context->word = word;
                return policy_context_fail(context, "%s", policy_token_error(r, place, text, buffer, n_buffer));
        }
        token.kind = kind;
        if (value.n > 0) {
                r = policy_context_intern(context, value, &token.value);
                if (r < 0)
                        return r;
        }
        *ret_token = token;
        return 0;
}

static int policy_parse_action(PolicyContext *context, PolicySlice text, PolicyAction *ret_action) {
        for (PolicyAction action = POLICY_ACTION_DENY; action <= POLICY_ACTION_ALLOW; ++action) {
                if (!policy_slice_equal(text, policy_slice(policy_action_name(action))))
                        continue;
                *ret_action = action;
                return 0;
        }
        context->word = text;
        return policy_context_fail_about(context, "invalid action: ", text, false);
}

/*
 * Parameters (2.5)
 */

typedef struct PolicyParameter {
        PolicySlice text; /* KEY=VALUE as written */
        PolicySlice key;
        PolicySlice value;
} PolicyParameter;

typedef struct PolicyParameters {
        PolicyParameter *entries;
        size_t n;
        size_t n_allocated;
} PolicyParameters;

static void policy_parameters_deinit(PolicyParameters *parameters) {
        free(parameters->entries);
}

static const PolicyParameter *policy_parameters_find(const PolicyParameters *parameters, PolicySlice key) {
        for (size_t i = 0; i < parameters->n; ++i)
                if (policy_slice_equal(parameters->entries[i].key, key))
                        return &parameters->entries[i];
        return NULL;
}

static int policy_parameters_add(PolicyParameters *parameters, PolicyParameter parameter) {
        if (parameters->n == parameters->n_allocated) {
                size_t n = parameters->n_allocated ? parameters->n_allocated * 2 : PARAMETERS_MIN;
                PolicyParameter *larger = reallocarray(parameters->entries, n, sizeof(*larger));

                if (!larger)
                        return error_origin(-ENOMEM);
                parameters->entries = larger;
                parameters->n_allocated = n;
        }
        parameters->entries[parameters->n++] = parameter;
        return 0;
}

/* Lines 9 and 10 of 2.7. */
static int policy_parameters_parse(PolicyContext *context, PolicySlice line, PolicyParameters *parameters) {
        PolicySlice word;
        int r;

        while (policy_words_next(&line, &word)) {
                const char *sign = memchr(word.text, '=', word.n);
                PolicyParameter parameter = { .text = word };

                context->word = word;
                if (!sign)
                        return policy_context_fail_about(context, "invalid action parameter syntax: ", word, true);
                parameter.key = (PolicySlice){ word.text, (size_t)(sign - word.text) };
                parameter.value = policy_slice_skip(word, parameter.key.n + 1);
                if (policy_parameters_find(parameters, parameter.key))
                        return policy_context_fail_about(context, "parameter given twice: ", parameter.key, true);
                r = policy_parameters_add(parameters, parameter);
                if (r < 0)
                        return error_trace(r);
        }
        context->word = (PolicySlice){};
        return 0;
}

static int policy_parse_bool(PolicyContext *context, const PolicyParameters *parameters, const char *key, bool *value) {
        const PolicyParameter *parameter = policy_parameters_find(parameters, policy_slice(key));
        _cleanup_free_ char *shown = NULL;

        if (!parameter)
                return 0;
        if (policy_slice_equal(parameter->value, POLICY_SLICE("yes"))) {
                *value = true;
                return 0;
        }
        if (policy_slice_equal(parameter->value, POLICY_SLICE("no"))) {
                *value = false;
                return 0;
        }
        shown = policy_quote_new(parameter->value);
        if (!shown)
                return error_origin(-ENOMEM);
        context->word = parameter->text;
        return policy_context_fail(context, "'%s' is %s, but can be only 'yes' or 'no'", key, shown);
}

/* "invalid parameters for action Allow: ['bogus=1', 'user=u']" */
static int policy_fail_parameters(PolicyContext *context, const PolicyParameters *parameters, PolicyAction action) {
        static const char *const names[] = {
                [POLICY_ACTION_DENY] = "Deny",
                [POLICY_ACTION_ASK] = "Ask",
                [POLICY_ACTION_ALLOW] = "Allow",
        };
        _cleanup_free_ char *list = NULL;
        size_t n_list = 0;
        FILE *stream;
        int r = 0;

        stream = open_memstream(&list, &n_list);
        if (!stream)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < parameters->n; ++i) {
                _cleanup_free_ char *shown = policy_quote_new(parameters->entries[i].text);

                if (!shown || fprintf(stream, "%s%s", i > 0 ? ", " : "", shown) < 0)
                        r = -ENOMEM;
        }
        if (fclose(stream) != 0 || r < 0)
                return error_origin(-ENOMEM);
        return policy_context_fail(context, "invalid parameters for action %s: [%s]", names[action], list);
}

/* Lines 13 to 15 of 2.7. */
static int policy_parameters_apply(PolicyContext *context, const PolicyParameters *parameters, PolicyRule *rule) {
        static const struct {
                const char *key;
                uint32_t actions;
        } known[] = {
                { "target", BIT(POLICY_ACTION_ALLOW) | BIT(POLICY_ACTION_ASK) },
                { "default_target", BIT(POLICY_ACTION_ASK) },
                { "user", BIT(POLICY_ACTION_ALLOW) | BIT(POLICY_ACTION_ASK) },
                { "notify", BIT(POLICY_ACTION_ALLOW) | BIT(POLICY_ACTION_ASK) | BIT(POLICY_ACTION_DENY) },
                { "autostart", BIT(POLICY_ACTION_ALLOW) | BIT(POLICY_ACTION_ASK) },
        };
        const PolicyParameter *parameter;
        int r;

        for (size_t i = 0; i < parameters->n; ++i) {
                size_t k = 0;

                while (k < ARRAY_SIZE(known) &&
                       !((known[k].actions & BIT(rule->action)) &&
                         policy_slice_equal(parameters->entries[i].key, policy_slice(known[k].key))))
                        ++k;
                if (k == ARRAY_SIZE(known)) {
                        context->word = parameters->entries[i].text;
                        return policy_fail_parameters(context, parameters, rule->action);
                }
        }

        parameter = policy_parameters_find(parameters, POLICY_SLICE("target"));
        if (parameter) {
                r = policy_parse_token(context, POLICY_PLACE_REDIRECT, parameter->value, parameter->text,
                                       &rule->redirect);
                if (r)
                        return r;
        }
        parameter = policy_parameters_find(parameters, POLICY_SLICE("default_target"));
        if (parameter) {
                r = policy_parse_token(context, POLICY_PLACE_REDIRECT, parameter->value, parameter->text,
                                       &rule->default_target);
                if (r)
                        return r;
        }
        parameter = policy_parameters_find(parameters, POLICY_SLICE("user"));
        if (parameter) {
                r = policy_context_intern(context, parameter->value, &rule->user);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Lines 9 to 15 of 2.7. */
static int policy_parse_parameters(PolicyContext *context, PolicySlice line, PolicyRule *rule) {
        _cleanup_(policy_parameters_deinit) PolicyParameters parameters = {};
        int r;

        r = policy_parameters_parse(context, line, &parameters);
        if (r)
                return r;
        rule->notify = rule->action == POLICY_ACTION_DENY;
        rule->autostart = true;
        r = policy_parse_bool(context, &parameters, "notify", &rule->notify);
        if (r)
                return r;
        r = policy_parse_bool(context, &parameters, "autostart", &rule->autostart);
        if (r)
                return r;
        return policy_parameters_apply(context, &parameters, rule);
}

/* SOURCE TARGET ACTION [PARAM …], of which the caller knows that the first three are there: lines 6 to 16 of 2.7. */
static int policy_parse_rest(PolicyContext *context, const PolicySubject *subject, PolicySlice line,
                             PolicyRule *ret_rule) {
        PolicyRule rule = {
                .path = context->path, .line = context->line, .service = subject->service, .argument = subject->argument
        };
        PolicySlice source = {}, target = {}, action = {};
        int r;

        (void)policy_words_next(&line, &source);
        (void)policy_words_next(&line, &target);
        (void)policy_words_next(&line, &action);
        r = policy_parse_token(context, POLICY_PLACE_SOURCE, source, source, &rule.source);
        if (r)
                return r;
        r = policy_parse_token(context, POLICY_PLACE_TARGET, target, target, &rule.target);
        if (r)
                return r;
        r = policy_parse_action(context, action, &rule.action);
        if (r)
                return r;
        r = policy_parse_parameters(context, line, &rule);
        if (r)
                return r;
        if (rule.target.kind == POLICY_TOKEN_DEFAULT && rule.action == POLICY_ACTION_ALLOW &&
            rule.redirect.kind == POLICY_TOKEN_NONE) {
                context->word = target;
                return policy_context_fail(context, "allow action for @default rule must specify target= option");
        }
        *ret_rule = rule;
        return 0;
}

int policy_rule_parse(PolicyContext *context, PolicySlice line, PolicyRule *ret_rule) {
        PolicySlice service = {}, argument = {};
        PolicySubject subject;
        int r;

        if (policy_words_count(line) < 5) {
                context->word = line;
                return policy_context_fail(context, "wrong number of fields");
        }
        (void)policy_words_next(&line, &service);
        (void)policy_words_next(&line, &argument);
        r = policy_subject_parse(context, service, argument, &subject);
        if (r)
                return r;
        return policy_parse_rest(context, &subject, line, ret_rule);
}

int policy_rule_parse_old(PolicyContext *context, const PolicySubject *subject, PolicySlice line,
                          PolicyRule *ret_rule) {
        if (policy_words_count(line) < 3) {
                context->word = line;
                return policy_context_fail(context, "wrong number of fields");
        }
        return policy_parse_rest(context, subject, line, ret_rule);
}

/*
 * Canonical text
 */

static void policy_write_slice(FILE *stream, PolicySlice slice) {
        fwrite(slice.text, 1, slice.n, stream);
}

static void policy_write_atom(FILE *stream, const PolicyAtom *atom, const char *absent) {
        policy_write_slice(stream, atom ? policy_atom_slice(atom) : policy_slice(absent));
}

static void policy_write_token(FILE *stream, PolicyToken token) {
        fputs(policy_token_prefix(token.kind), stream);
        policy_write_atom(stream, token.value, "");
}

static void policy_rule_write(FILE *stream, const PolicyRule *rule) {
        policy_write_atom(stream, rule->service, "*");
        fputc('\t', stream);
        policy_write_atom(stream, rule->argument, "*");
        fputc('\t', stream);
        policy_write_token(stream, rule->source);
        fputc('\t', stream);
        policy_write_token(stream, rule->target);
        fputc('\t', stream);
        fputs(policy_action_name(rule->action), stream);
        if (rule->redirect.kind != POLICY_TOKEN_NONE) {
                fputs(" target=", stream);
                policy_write_token(stream, rule->redirect);
        }
        if (rule->default_target.kind != POLICY_TOKEN_NONE) {
                fputs(" default_target=", stream);
                policy_write_token(stream, rule->default_target);
        }
        if (rule->user) {
                fputs(" user=", stream);
                policy_write_atom(stream, rule->user, "");
        }
        if (rule->notify != (rule->action == POLICY_ACTION_DENY))
                fputs(rule->notify ? " notify=yes" : " notify=no", stream);
        if (!rule->autostart)
                fputs(" autostart=no", stream);
}

char *policy_rule_format(const PolicyRule *rule, size_t *ret_n) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        if (!stream)
                return NULL;
        policy_rule_write(stream, rule);
        if (text_close(stream, &text) == 0 && ret_n)
                *ret_n = n;
        return text;
}

static bool policy_atom_same(const PolicyAtom *a, const PolicyAtom *b) {
        return a && b ? policy_atom_equal(a, b) : a == b;
}

static bool policy_token_same(PolicyToken a, PolicyToken b) {
        return a.kind == b.kind && policy_atom_same(a.value, b.value);
}

bool policy_rule_equal(const PolicyRule *a, const PolicyRule *b) {
        return policy_atom_same(a->service, b->service) && policy_atom_same(a->argument, b->argument) &&
               policy_token_same(a->source, b->source) && policy_token_same(a->target, b->target) &&
               a->action == b->action && policy_token_same(a->redirect, b->redirect) &&
               policy_token_same(a->default_target, b->default_target) && policy_atom_same(a->user, b->user) &&
               a->notify == b->notify && a->autostart == b->autostart;
}

const char *policy_action_name(PolicyAction action) {
        switch (action) {
        case POLICY_ACTION_ALLOW:
                return "allow";
        case POLICY_ACTION_ASK:
                return "ask";
        case POLICY_ACTION_DENY:
                return "deny";
        }
        return "deny";
}
