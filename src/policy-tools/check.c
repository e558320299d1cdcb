/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/check.h"

#include <errno.h>

#include "base/error.h"
#include "policy/directive.h"
#include "policy/lexer.h"
#include "policy/path.h"
#include "policy/quote.h"
#include "policy/rule.h"

typedef struct Check {
        FILE *stream, *warnings;
        const PolicyCheckOptions *options;
        PolicyContext context;
        PolicyAtoms atoms;
        size_t n_errors;
} Check;

/* The line as it stands, but for characters that could move a cursor or end it. */
static void check_write_line(FILE *stream, PolicySlice line) {
        for (size_t i = 0; i < line.n; ++i) {
                unsigned char c = (unsigned char)line.text[i];

                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        fprintf(stream, "\\x%02x", c);
                else
                        fputc(c, stream);
        }
}

static void check_write(Check *check, const char *text, PolicySlice line) {
        ++check->n_errors;
        fprintf(check->stream, "%s:%u: error: %s", check->context.path->text, check->context.line, text);
        if (check->options->shows_line) {
                fputs(": ", check->stream);
                check_write_line(check->stream, line);
        }
        fputc('\n', check->stream);
}

static int check_find_included(const PolicyCheckOptions *options, PolicySlice path, bool *ret_found) {
        *ret_found = false;
        for (const char *const *directory = options->directories; directory && *directory; ++directory) {
                _cleanup_free_ char *real = NULL;
                int r = policy_path_resolve(*directory, path, &real);

                if (r < 0)
                        return error_trace(r);
                if (r == 0 && policy_path_is_file(real))
                        *ret_found = true;
        }
        return 0;
}

/* `$include:PATH`, the old spelling. */
static int check_include_old(Check *check, PolicySlice line, PolicySlice path) {
        _cleanup_free_ char *quoted = NULL, *text = NULL;
        bool found;
        int r;

        if (!check->options->directories)
                return 0;
        r = check_find_included(check->options, path, &found);
        if (r < 0 || found)
                return r;
        quoted = policy_quote_new(path);
        if (!quoted || asprintf(&text, "no such policy file: %s", quoted) < 0) {
                text = NULL;
                return error_origin(-ENOMEM);
        }
        check_write(check, text, line);
        return 0;
}

static int check_directive(Check *check, PolicySlice line, PolicySlice translated) {
        const PolicySlice old_include = POLICY_SLICE("$include:");
        /* `!include-dir` may not stand in an old file, but is passed over here (9.4). */
        unsigned kinds =
                check->options->is_old ? BIT(POLICY_DIRECTIVE_INCLUDE) | BIT(POLICY_DIRECTIVE_INCLUDE_DIR) : ~0U;
        PolicyDirective directive;
        int r;

        r = policy_directive_parse(&check->context, kinds, translated, &directive);
        if (r)
                return r;
        if (directive.kind == POLICY_DIRECTIVE_COMPAT)
                fprintf(check->warnings,
                        "warning: !compat-4.0 directive in file %s line %u is transitional and will be deprecated\n",
                        check->context.path->text, check->context.line);
        if (check->options->is_old && policy_slice_begins(line, old_include))
                return check_include_old(check, line, directive.path);
        return 0;
}

/* Return: 0, POLICY_RULE_E_SYNTAX, or a negative error */
static int check_line(Check *check, PolicySlice line) {
        _cleanup_free_ char *text = NULL;
        PolicySlice translated = line;
        PolicyRule rule;

        if (check->options->is_old) {
                text = policy_old_translate(line);
                if (!text)
                        return error_origin(-ENOMEM);
                translated.text = text;
        }
        if (translated.text[0] == '!')
                return check_directive(check, line, translated);
        if (check->options->is_old)
                return policy_rule_parse_old(&check->context, &(PolicySubject){}, translated, &rule);
        return policy_rule_parse(&check->context, translated, &rule);
}

static int check_lines(Check *check, PolicySlice text) {
        PolicyLines lines = POLICY_LINES_INIT(text);
        PolicySlice line;

        check->context.line = policy_utf8_check(text);
        if (check->context.line > 0) {
                check_write(check, "invalid UTF-8", (PolicySlice){});
                return 0;
        }
        while (policy_lines_next(&lines, &line)) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                int r;

                if (policy_line_says_nothing(line))
                        continue;
                check->context.reterr = &diagnostics;
                check->context.line = lines.line;
                r = check_line(check, line);
                if (r < 0)
                        return r;
                if (r == POLICY_RULE_E_SYNTAX)
                        check_write(check, diagnostics.entries[0].text, line);
        }
        return 0;
}

int policy_check(FILE *stream, FILE *warnings, const PolicyCheckOptions *options, const char *path,
                 PolicySlice untrusted_text, size_t *ret_n_errors) {
        Check check = { .stream = stream, .warnings = warnings, .options = options };
        int r;

        check.context.atoms = &check.atoms;
        r = policy_atoms_intern(&check.atoms, policy_slice(path), &check.context.path);
        if (r == 0)
                r = check_lines(&check, untrusted_text);
        policy_atoms_deinit(&check.atoms);
        if (r < 0)
                return error_trace(r);
        *ret_n_errors = check.n_errors;
        return 0;
}
