/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong in a text file, in words for the person who must mend it: where, what, and what to do.
 *
 * A Diagnostics collects all findings of a load, in the order found, up to DIAGNOSTICS_MAX; what comes after is only
 * counted. An empty list means that the load succeeded.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"

/** A file with more errors than this is broken in one way, not in many: nobody reads on. */
#define DIAGNOSTICS_MAX 100

typedef struct Diagnostic {
        char *path;      /* the file, as it should be shown; "": the text says it all */
        unsigned line;   /* from 1; 0: the file as a whole */
        unsigned column; /* from 1, in bytes; 0: the line as a whole */
        char *text;      /* what is wrong, and the remedy where there is one */
        unsigned
                mark; /* not in the message, for who shows the line: the first byte that is meant, from 1, and how many; */
        unsigned n_mark; /* blanks before the line are not counted. 0: not known */
} Diagnostic;

typedef struct Diagnostics {
        Diagnostic *entries;
        size_t n_entries;
        size_t n_dropped;
} Diagnostics;

#define DIAGNOSTICS_INIT ((Diagnostics){ 0 })

/** diagnostics_deinit() - free all entries; harmless on an empty list */
void diagnostics_deinit(Diagnostics *diagnostics);

/** diagnostics_add() - append a finding; @path is copied. Return: 0 or a negative error */
int diagnostics_add(Diagnostics *diagnostics, const char *path, unsigned line, unsigned column, const char *format, ...)
        _printf_(5, 6);

/** diagnostics_add_list() - the same for functions that take such arguments themselves */
int diagnostics_add_list(Diagnostics *diagnostics, const char *path, unsigned line, unsigned column, const char *format,
                         va_list arguments) _printf_(5, 0);

/** diagnostic_format() - "PATH:LINE:COLUMN: TEXT", parts that are 0 left out; the caller frees it, NULL: no memory */
char *diagnostic_format(const Diagnostic *diagnostic);

/** diagnostics_log() - write every entry to the log as an error, and how many more there are */
void diagnostics_log(const Diagnostics *diagnostics);
