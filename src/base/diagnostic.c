/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diagnostic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

void diagnostics_deinit(Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                free(diagnostics->entries[i].path);
                free(diagnostics->entries[i].text);
        }
        free(diagnostics->entries);
        *diagnostics = DIAGNOSTICS_INIT;
}

int diagnostics_add(Diagnostics *diagnostics, const char *path, unsigned line, unsigned column, const char *format,
                    ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = diagnostics_add_list(diagnostics, path, line, column, format, arguments);
        va_end(arguments);
        return error_trace(r);
}

int diagnostics_add_list(Diagnostics *diagnostics, const char *path, unsigned line, unsigned column, const char *format,
                         va_list arguments) {
        Diagnostic entry = { .line = line, .column = column };
        Diagnostic *larger;
        int r;

        if (diagnostics->n_entries >= DIAGNOSTICS_MAX) {
                ++diagnostics->n_dropped;
                return 0;
        }

        larger = realloc(diagnostics->entries, (diagnostics->n_entries + 1) * sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        diagnostics->entries = larger;

        r = text_format_list(format, arguments, &entry.text);
        if (r)
                return error_trace(r);
        entry.path = strdup(path);
        if (!entry.path) {
                free(entry.text);
                return error_origin(-ENOMEM);
        }
        diagnostics->entries[diagnostics->n_entries++] = entry;
        return 0;
}

char *diagnostic_format(const Diagnostic *diagnostic) {
        char *text = NULL;
        int r;

        if (diagnostic->path[0] == '\0')
                r = asprintf(&text, "%s", diagnostic->text);
        else if (diagnostic->line && diagnostic->column)
                r = asprintf(&text, "%s:%u:%u: %s", diagnostic->path, diagnostic->line, diagnostic->column,
                             diagnostic->text);
        else if (diagnostic->line)
                r = asprintf(&text, "%s:%u: %s", diagnostic->path, diagnostic->line, diagnostic->text);
        else
                r = asprintf(&text, "%s: %s", diagnostic->path, diagnostic->text);
        return r < 0 ? NULL : text;
}

void diagnostics_log(const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&diagnostics->entries[i]);

                log_error("%s", text ?: diagnostics->entries[i].text);
        }
        if (diagnostics->n_dropped > 0)
                log_error("… and %zu more errors", diagnostics->n_dropped);
}
