/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "policy/lexer.h"
#include "policy/policy.h"

/** A line that is longer is not shown. */
#define SHOWN_MAX 500

#define INDENT "    "

/* clang-format off */
static const struct {
        const char *begins; /* how the message begins (policy specification, 2.3, 2.7, 3) */
        const char *hint;
} hints[] = {
        { "wrong number of fields",        "a rule is SERVICE ARGUMENT SOURCE TARGET ACTION [PARAMETER…]; in the old format SOURCE "
                                           "TARGET ACTION [PARAMETER…]" },
        { "service ",                      "a service has letters, digits, '-', '.' and '_'; * is any" },
        { "argument ",                     "* is any argument, + is none, +TEXT is just this one: letters, digits, '-', '.', '_', "
                                           "'+'" },
        { "only * argument",               "write * *" },
        { "invalid source token",          "a source is NAME, *, @anyvm, @adminvm, @type:TYPE or @tag:TAG" },
        { "invalid target token",          "a target is NAME, *, @anyvm, @adminvm, @default, @dispvm, @dispvm:NAME, "
                                           "@dispvm:@tag:TAG, @type:TYPE or @tag:TAG" },
        { "invalid redirect token",        "this is NAME, @adminvm, @dispvm or @dispvm:NAME" },
        { "invalid empty redirect token",  "write NAME, @adminvm, @dispvm or @dispvm:NAME after the '='" },
        { "invalid empty ",                "something has to follow the colon" },
        { "invalid action parameter",      "a parameter is KEY=VALUE without blanks; a comment has a line of its own" },
        { "invalid action: ",              "it is allow, ask or deny; parameters follow after a blank, not a comma" },
        { "invalid parameters for action Allow", "allow has target=, user=, notify= and autostart=" },
        { "invalid parameters for action Ask",   "ask has target=, default_target=, user=, notify= and autostart=" },
        { "invalid parameters for action Deny",  "deny has notify= alone" },
        { "allow action for @default",     "add target=NAME: where such calls go" },
        { "invalid directive",             "there are !include PATH, !include-dir PATH, !include-service SERVICE ARGUMENT PATH and "
                                           "!compat-4.0; in files for !include-service only !include" },
        { "invalid number of params",      "!include PATH, !include-dir PATH, !include-service SERVICE ARGUMENT PATH, !compat-4.0; "
                                           "a path has no blanks" },
        { "not a file: ",                  "a relative path starts at the policy directory, not at that of this file" },
        { "not a directory: ",             "a relative path starts at the policy directory, not at that of this file" },
        { "invalid UTF-8",                 "save the file as UTF-8; comments count too" },
        { "failed to load ",               "what cannot be read makes all unusable; 'systemd-tmpfiles --create' makes /run/qubes/policy.d" },
        { "invalid filename: ",            "names of policy files have a-z, 0-9, '_', '.' and '-'; or take the .policy off the name" },
};
/* clang-format on */

const char *policy_problem_hint(const char *message) {
        for (size_t i = 0; i < ARRAY_SIZE(hints); ++i)
                if (strncmp(message, hints[i].begins, strlen(hints[i].begins)) == 0)
                        return hints[i].hint;
        return NULL;
}

/* The line as it is in the file, with the blanks before it. Return: was it found? */
static bool problem_find_line(PolicySlice text, unsigned number, PolicySlice *ret_raw, PolicySlice *ret_trimmed) {
        PolicyLines lines = POLICY_LINES_INIT(text);
        const char *begin = text.text;

        while (policy_lines_next(&lines, ret_trimmed)) {
                if (lines.line == number) {
                        *ret_raw = (PolicySlice){ begin, (size_t)(ret_trimmed->text + ret_trimmed->n - begin) };
                        return ret_trimmed->n > 0;
                }
                begin = lines.rest.text;
        }
        return false;
}

/* Characters that take a place on a terminal each: nothing that could move its cursor. */
static void problem_write_text(FILE *stream, PolicySlice text) {
        while (text.n > 0) {
                uint32_t c = 0;
                size_t n = policy_utf8_decode(text, &c) ?: 1;

                if (c == '\t')
                        fputc('\t', stream);
                else if (c < 0x20 || c >= 0x7f)
                        fputc('?', stream);
                else
                        fputc((int)c, stream);
                text = policy_slice_skip(text, n);
        }
}

/* As wide as @text, with @fill in each place but for tabs. */
static void problem_write_width(FILE *stream, PolicySlice text, char first, char fill) {
        for (bool is_first = true; text.n > 0; is_first = false) {
                uint32_t c = 0;
                size_t n = policy_utf8_decode(text, &c) ?: 1;

                fputc(c == '\t' && fill == ' ' ? '\t' : is_first ? first : fill, stream);
                text = policy_slice_skip(text, n);
        }
}

static void problem_write_line(FILE *stream, const Diagnostic *problem, PolicySlice line) {
        PolicySlice before = line, word = line;

        if (line.n > SHOWN_MAX)
                return;
        fputs(INDENT, stream);
        problem_write_text(stream, line);
        fputc('\n', stream);
        if (problem->mark == 0 || problem->mark - 1 + problem->n_mark > line.n)
                return;
        before.n = problem->mark - 1;
        word = policy_slice_skip(line, before.n);
        word.n = problem->n_mark;
        fputs(INDENT, stream);
        problem_write_width(stream, before, ' ', ' ');
        problem_write_width(stream, word, '^', '~');
        fputc('\n', stream);
}

/* The first byte that is not UTF-8: a file with one is not looked at word by word. */
static void problem_mark_bad_byte(Diagnostic *problem, PolicySlice line) {
        PolicySlice rest = line;
        uint32_t c;
        size_t n;

        while (rest.n > 0 && (n = policy_utf8_decode(rest, &c)) > 0)
                rest = policy_slice_skip(rest, n);
        if (rest.n > 0) {
                problem->mark = (unsigned)(line.n - rest.n) + 1;
                problem->n_mark = 1;
        }
}

int policy_problem_write(FILE *stream, const Diagnostic *reported) {
        _cleanup_free_ char *text = NULL;
        Diagnostic marked = *reported, *problem = &marked; /* its texts stay the caller's */
        const char *hint = policy_problem_hint(problem->text);
        PolicySlice raw = {}, line = {};
        unsigned column = 0;
        size_t n = 0;
        int r = FILE_E_NOT_FOUND;

        if (problem->path[0] != '\0' && problem->line > 0)
                r = file_read(AT_FDCWD, problem->path, POLICY_FILE_SIZE_MAX, &text, &n);
        if (r < 0)
                return error_trace(r);
        if (r == 0 && problem_find_line((PolicySlice){ text, n }, problem->line, &raw, &line)) {
                if (problem->mark == 0)
                        problem_mark_bad_byte(problem, line);
                if (problem->mark > 0)
                        column = (unsigned)(line.text - raw.text) + problem->mark;
        }
        if (column > 0)
                fprintf(stream, "%s:%u:%u: %s\n", problem->path, problem->line, column, problem->text);
        else if (problem->path[0] != '\0' && problem->line > 0)
                fprintf(stream, "%s:%u: %s\n", problem->path, problem->line, problem->text);
        else
                fprintf(stream, "%s\n", problem->text);
        if (line.n > 0)
                problem_write_line(stream, problem, line);
        if (hint)
                fprintf(stream, INDENT "%s\n", hint);
        return 0;
}

int policy_problems_write(FILE *stream, const Diagnostics *problems) {
        int r = 0;

        for (size_t i = 0; i < problems->n_entries && r == 0; ++i)
                r = policy_problem_write(stream, &problems->entries[i]);
        if (problems->n_dropped > 0)
                fprintf(stream, "… and %zu more\n", problems->n_dropped);
        return r;
}
