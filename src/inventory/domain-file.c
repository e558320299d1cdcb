/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory/domain-file.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/text.h"

static bool char_is_blank(char c) {
        return c == ' ' || c == '\t';
}

static bool char_is_key(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

typedef enum LineKind {
        LINE_KIND_EMPTY, /* or a comment */
        LINE_KIND_SECTION,
        LINE_KIND_VALUE,
        LINE_KIND_BAD,
} LineKind;

typedef struct Line {
        LineKind kind;
        const char *problem; /* of a bad one */
        const char *name;    /* of the section, or the key; n_name bytes */
        size_t n_name;
        size_t n_end; /* where the value ends, and a comment may follow; for a value only */
} Line;

/* Is there nothing but blanks, and perhaps a comment, from @i on? */
static bool rest_is_comment(const char *text, size_t n, size_t i) {
        size_t first = i;

        while (i < n && char_is_blank(text[i]))
                ++i;
        return i == n || (text[i] == ';' && i > first);
}

static Line line_bad(const char *problem) {
        return (Line){ .kind = LINE_KIND_BAD, .problem = problem };
}

static Line line_section(const char *text, size_t n) {
        const char *end = memchr(text, ']', n);

        if (!end || !rest_is_comment(text, n, (size_t)(end - text) + 1))
                return line_bad("write the section as [" DOMAIN_FILE_SECTION "], alone on its line");
        return (Line){ .kind = LINE_KIND_SECTION, .name = text + 1, .n_name = (size_t)(end - text) - 1 };
}

static Line line_value(const char *text, size_t n) {
        Line line = { .kind = LINE_KIND_VALUE, .name = text };
        size_t i, end;

        while (line.n_name < n && char_is_key(text[line.n_name]))
                ++line.n_name;
        i = line.n_name;
        while (i < n && char_is_blank(text[i]))
                ++i;
        if (line.n_name == 0 || i == n || text[i] != '=')
                return line_bad("neither KEY = VALUE nor a comment: begin a comment with ';'");

        for (end = ++i; end < n; ++end)
                if (text[end] == ';' && char_is_blank(text[end - 1]))
                        break;
        while (end > i && char_is_blank(text[end - 1]))
                --end;
        line.n_end = end;
        return line;
}

/* The same division that libinih makes, without what it forgives: indented lines that continue the one before, `:`
 * for `=`, text behind a section, lines cut in two. */
static Line line_classify(const char *text, size_t n) {
        if (n > DOMAIN_FILE_LINE_MAX)
                return line_bad("line too long: at most 197 bytes");
        for (size_t i = 0; i < n; ++i)
                if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
                        return line_bad(text[i] == '\r' && i == n - 1
                                                ? "ends in a carriage return: save the file with Unix line ends"
                                                : "has a control character: remove it");
        if (rest_is_comment(text, n, 0) || text[0] == ';' || text[0] == '#')
                return (Line){ .kind = LINE_KIND_EMPTY };
        if (char_is_blank(text[0]))
                return line_bad("begins with a blank: begin it in the first column");
        return text[0] == '[' ? line_section(text, n) : line_value(text, n);
}

_Static_assert(DOMAIN_FILE_LINE_MAX == 197, "the limit is spelled out in a message");

typedef struct Parser {
        const char *path;
        const char *untrusted_data;
        size_t n_data;
        size_t offset;
        unsigned line;
        unsigned section_line; /* 0: [domain] has not been seen */
        bool in_section;
        bool invalid;
        int error; /* a negative one, from a callback */
        Diagnostics *reterr;
        DomainFile *file;
} Parser;

#define parser_complain(_parser, _line, ...)                                                           \
        ({                                                                                             \
                int _r = diagnostics_add((_parser)->reterr, (_parser)->path, (_line), 0, __VA_ARGS__); \
                                                                                                       \
                (_parser)->invalid = true;                                                             \
                if (_r < 0)                                                                            \
                        (_parser)->error = _r;                                                         \
        })

static void parser_section(Parser *parser, const Line *line) {
        bool known = line->n_name == strlen(DOMAIN_FILE_SECTION) &&
                     memcmp(line->name, DOMAIN_FILE_SECTION, line->n_name) == 0;

        if (!known)
                parser_complain(parser, parser->line, "unknown section [%s]: the only one is [" DOMAIN_FILE_SECTION "]",
                                ESCAPED(line->name, line->n_name));
        else if (parser->section_line)
                parser_complain(parser, parser->line,
                                "section [" DOMAIN_FILE_SECTION "] is already in line %u: join the two",
                                parser->section_line);
        else
                parser->section_line = parser->line;
        parser->in_section = known;
}

/* Hands libinih the next line, or an empty one in place of a line that must not reach it. */
static char *parser_read_line(char *ret_text, int n_text, void *userdata) {
        Parser *parser = userdata;
        const char *text = parser->untrusted_data + parser->offset, *end;
        size_t n = parser->n_data - parser->offset;
        Line line;

        if (n == 0 || parser->error < 0)
                return NULL;
        end = memchr(text, '\n', n);
        if (end)
                n = (size_t)(end - text);
        parser->offset += n + (end ? 1 : 0);
        ++parser->line;

        line = line_classify(text, n);
        if (line.kind == LINE_KIND_BAD)
                parser_complain(parser, parser->line, "%s", line.problem);
        else if (line.kind == LINE_KIND_SECTION)
                parser_section(parser, &line);
        else if (line.kind == LINE_KIND_VALUE && !parser->section_line)
                parser_complain(parser, parser->line,
                                "'%s' stands outside of a section: write [" DOMAIN_FILE_SECTION "] above it",
                                ESCAPED(line.name, line.n_name));

        if (line.kind == LINE_KIND_BAD || line.kind == LINE_KIND_EMPTY)
                n = 0;
        if (n_text < 2 || n > (size_t)n_text - 2) {
                parser->error = error_origin(-ENOBUFS); /* a libinih with a smaller buffer than any there is */
                return NULL;
        }
        memcpy(ret_text, text, n);
        memcpy(ret_text + n, "\n", 2);
        return ret_text;
}

static int parser_on_value(void *userdata, const char *section, const char *key, const char *untrusted_text) {
        Parser *parser = userdata;
        char problem[PROPERTY_PROBLEM_MAX];
        PropertyValue *value;
        Property property;
        int r;

        if (!parser->in_section)
                return 1; /* the section, or its absence, has been complained of */

        if (property_parse(key, &property)) {
                const char *meant = property_nearest(key);

                if (meant)
                        parser_complain(parser, parser->line, "unknown key '%s': did you mean '%s'?",
                                        ESCAPED(key, strlen(key)), meant);
                else
                        parser_complain(parser, parser->line, "unknown key '%s': domains.d(5) lists those there are",
                                        ESCAPED(key, strlen(key)));
                return 1;
        }

        value = &parser->file->values[property];
        if (value->line) {
                parser_complain(parser, parser->line, "'%s' is already set in line %u: remove one of the two", key,
                                value->line);
                return 1;
        }

        r = property_value_parse(property, untrusted_text, value, problem);
        if (r < 0)
                parser->error = r;
        else if (r)
                parser_complain(parser, parser->line, "%s: %s", key, problem);
        value->line = parser->line;
        return 1;
}

void domain_file_deinit(DomainFile *file) {
        for (size_t i = 0; i < _PROPERTY_N; ++i)
                property_value_deinit(&file->values[i]);
}

int domain_file_parse(const char *path, const char *untrusted_data, size_t n, Diagnostics *reterr, DomainFile *file) {
        Parser parser = { .path = path, .untrusted_data = untrusted_data, .n_data = n, .reterr = reterr, .file = file };
        int r;

        r = ini_parse_stream(parser_read_line, &parser, parser_on_value, &parser);
        if (parser.error < 0)
                return error_trace(parser.error);
        if (r < 0)
                return error_origin(-ENOMEM);
        if (r > 0)
                parser_complain(&parser, (unsigned)r, "not understood");
        if (!parser.section_line)
                parser_complain(&parser, 0, "has no section: write [" DOMAIN_FILE_SECTION "] as its first line");
        if (parser.error < 0)
                return error_trace(parser.error);
        return parser.invalid ? DOMAIN_FILE_E_INVALID : 0;
}

int domain_file_format(const DomainFile *file, char **ret_text, size_t *ret_n) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);
        int r;

        if (!stream)
                return error_origin(-ENOMEM);
        fputs("[" DOMAIN_FILE_SECTION "]\n", stream);
        for (size_t i = 0; i < _PROPERTY_N; ++i)
                if (file->values[i].text)
                        fprintf(stream, "%s = %s\n", property_info((Property)i)->key, file->values[i].text);
        r = text_close(stream, &text);
        if (r)
                return error_trace(r);
        *ret_text = text;
        *ret_n = n;
        return 0;
}

static bool line_sets(const Line *line, Property property) {
        const char *key = property_info(property)->key;

        return line->kind == LINE_KIND_VALUE && line->n_name == strlen(key) &&
               memcmp(line->name, key, line->n_name) == 0;
}

/* Length of the line that begins at @text, without its newline. */
static size_t line_length(const char *text, size_t n) {
        const char *end = memchr(text, '\n', n);

        return end ? (size_t)(end - text) : n;
}

/* Offset behind the line that a new one should follow: the last that sets something, else the section, else 0. */
static size_t find_insertion(const char *text, size_t n) {
        size_t found = 0;

        for (size_t i = 0; i < n;) {
                size_t n_line = line_length(text + i, n - i);
                Line line = line_classify(text + i, n_line);

                i += n_line + (i + n_line < n ? 1 : 0);
                if (line.kind == LINE_KIND_VALUE || line.kind == LINE_KIND_SECTION)
                        found = i;
        }
        return found;
}

static void write_edited(FILE *stream, const char *text, size_t n, Property property, const char *value) {
        const char *key = property_info(property)->key;
        size_t insert_at = value ? find_insertion(text, n) : SIZE_MAX;
        bool done = false;

        /* A line that sets the property already takes the new value in its place. */
        for (size_t i = 0; value && i < n;) {
                size_t n_line = line_length(text + i, n - i);
                Line line = line_classify(text + i, n_line);

                if (line_sets(&line, property))
                        insert_at = SIZE_MAX;
                i += n_line + 1;
        }
        if (n == 0 && value)
                fputs("[" DOMAIN_FILE_SECTION "]\n", stream);

        for (size_t i = 0; i < n;) {
                size_t n_line = line_length(text + i, n - i);
                Line line = line_classify(text + i, n_line);
                bool newline = i + n_line < n;

                if (!line_sets(&line, property)) {
                        fwrite(text + i, 1, n_line, stream);
                        if (newline || i + n_line == insert_at)
                                fputc('\n', stream);
                } else if (value) {
                        fprintf(stream, "%s = %s", key, value);
                        fwrite(text + i + line.n_end, 1, n_line - line.n_end, stream);
                        if (newline)
                                fputc('\n', stream);
                }
                i += n_line + (newline ? 1 : 0);
                if (i == insert_at && !done) {
                        fprintf(stream, "%s = %s\n", key, value);
                        done = true;
                }
        }
        if (insert_at == 0 && !done)
                fprintf(stream, "%s = %s\n", key, value);
}

int domain_file_edit(const char *text, size_t n, Property property, const char *value, char **ret_text, size_t *ret_n) {
        char *edited = NULL;
        size_t n_edited = 0;
        FILE *stream = open_memstream(&edited, &n_edited);
        int r;

        if (!stream)
                return error_origin(-ENOMEM);
        write_edited(stream, text, n, property, value);
        r = text_close(stream, &edited);
        if (r)
                return error_trace(r);
        *ret_text = edited;
        *ret_n = n_edited;
        return 0;
}
