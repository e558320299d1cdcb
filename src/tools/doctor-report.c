/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "tools/doctor.h"

static const char *const level_names[] = {
        [FINDING_ERROR] = "error",
        [FINDING_WARNING] = "warning",
        [FINDING_NOTE] = "note",
};

/* What sh(1) takes as it is, anywhere in a word. */
#define WORD_SAFE "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:+,@%="

void report_deinit(Report *report) {
        for (size_t i = 0; i < report->n_findings; ++i) {
                free(report->findings[i].text);
                free(report->findings[i].command);
        }
        free(report->findings);
        *report = REPORT_INIT;
}

int report_add(Report *report, FindingLevel level, const char *check, char *command, const char *format, ...) {
        _cleanup_free_ char *owned = command == REPORT_NO_MEMORY ? NULL : command;
        Finding *larger;
        va_list arguments;
        char *text;
        int r;

        if (command == REPORT_NO_MEMORY)
                return error_origin(-ENOMEM);
        larger = reallocarray(report->findings, report->n_findings + 1, sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        report->findings = larger;

        va_start(arguments, format);
        r = text_format_list(format, arguments, &text);
        va_end(arguments);
        if (r)
                return error_trace(r);
        report->findings[report->n_findings++] = (Finding){
                .level = level,
                .check = check,
                .text = text,
                .command = steal_ptr(&owned),
        };
        ++report->n_of_level[level];
        return 0;
}

/*
 * Printable ASCII is put between single quotes. Other bytes could move a cursor or, pasted, end the line: they become
 * octal escapes that printf(1) turns back. (What a command substitution loses are newlines at the end.)
 */
static void quote_to(FILE *stream, const char *text) {
        bool printable = true;

        for (const char *c = text; *c; ++c)
                printable &= *c >= ' ' && *c <= '~';
        if (*text && text[strspn(text, WORD_SAFE)] == '\0') {
                fputs(text, stream);
                return;
        }
        if (printable) {
                fputc('\'', stream);
                for (; *text; ++text)
                        if (*text == '\'')
                                fputs("'\\''", stream);
                        else
                                fputc(*text, stream);
                fputc('\'', stream);
                return;
        }
        fputs("\"$(printf %b '", stream);
        for (; *text; ++text)
                fprintf(stream, "\\0%03o", (unsigned char)*text);
        fputs("')\"", stream);
}

char *report_quote(const char *text) {
        char *quoted = NULL;
        size_t n;
        FILE *stream = open_memstream(&quoted, &n);

        if (!stream)
                return NULL;
        quote_to(stream, text);
        (void)text_close(stream, &quoted);
        return quoted;
}

char *report_command(const char *format, ...) {
        char *command = NULL;
        size_t n;
        va_list arguments;
        FILE *stream = open_memstream(&command, &n);

        if (!stream)
                return REPORT_NO_MEMORY;
        va_start(arguments, format);
        for (; *format; ++format)
                if (*format == '%')
                        quote_to(stream, va_arg(arguments, const char *));
                else
                        fputc(*format, stream);
        va_end(arguments);
        return text_close(stream, &command) ? REPORT_NO_MEMORY : command;
}

static void print_count(size_t n, const char *what, const char *separator) {
        printf("%zu %s%s%s", n, what, n == 1 ? "" : "s", separator);
}

void report_print(const Report *report) {
        for (size_t i = 0; i < report->n_findings; ++i) {
                const Finding *finding = &report->findings[i];

                printf("%s: %s\n", level_names[finding->level], finding->text);
                if (finding->command)
                        printf("    %s\n", finding->command);
        }
        print_count(report->n_of_level[FINDING_ERROR], "error", ", ");
        print_count(report->n_of_level[FINDING_WARNING], "warning", ", ");
        print_count(report->n_of_level[FINDING_NOTE], "note", "\n");
}

/* Hands @value over to @object; either may be NULL for want of memory. */
static int add(json_object *object, const char *key, json_object *value) {
        if (!object || !value || json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

static int add_finding(json_object *findings, const Finding *finding) {
        json_object *object = json_object_new_object();
        int r;

        r = add(object, "check", json_object_new_string(finding->check));
        r = r ?: add(object, "level", json_object_new_string(level_names[finding->level]));
        r = r ?: add(object, "text", json_object_new_string(finding->text));
        if (r == 0 && finding->command)
                r = add(object, "command", json_object_new_string(finding->command));
        else if (r == 0 && json_object_object_add(object, "command", NULL) < 0)
                r = -ENOMEM;
        if (r == 0 && json_object_array_add(findings, object) == 0)
                return 0;
        json_object_put(object);
        return -ENOMEM;
}

int report_print_json(const Report *report) {
        json_object *object = json_object_new_object(), *findings = json_object_new_array();
        const char *text = NULL;
        int r = object && findings ? 0 : -ENOMEM;

        for (size_t i = 0; i < report->n_findings && r == 0; ++i)
                r = add_finding(findings, &report->findings[i]);
        if (r == 0) {
                r = add(object, "findings", findings);
                findings = NULL;
        }
        r = r ?: add(object, "errors", json_object_new_int64((int64_t)report->n_of_level[FINDING_ERROR]));
        r = r ?: add(object, "warnings", json_object_new_int64((int64_t)report->n_of_level[FINDING_WARNING]));
        r = r ?: add(object, "notes", json_object_new_int64((int64_t)report->n_of_level[FINDING_NOTE]));
        if (r == 0)
                text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                      JSON_C_TO_STRING_NOSLASHESCAPE);
        if (text)
                printf("%s\n", text);
        else
                r = -ENOMEM;
        json_object_put(findings);
        json_object_put(object);
        return error_origin(r);
}
