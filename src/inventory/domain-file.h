/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of one domain's file: an INI file with one section, [domain], of KEY = VALUE lines; a line that begins
 * with `;` or `#`, and what follows ` ;` in a line, is a comment. Pure functions over bytes.
 *
 * Read with libinih, which forgives much; what it would forgive is refused first, so that a file means one thing.
 */
#pragma once

#include <stddef.h>

#include "base/diagnostic.h"
#include "inventory/property.h"

/** Largest file in bytes: a page of properties and much commentary. */
#define DOMAIN_FILE_MAX 65536
/** Longest line in bytes: what libinih's buffer of 200 holds, whatever a distribution built it with. */
#define DOMAIN_FILE_LINE_MAX 197
/** The only section. */
#define DOMAIN_FILE_SECTION "domain"

enum {
        _DOMAIN_FILE_E_SUCCESS,
        DOMAIN_FILE_E_INVALID, /* diagnostics say what and where */
};

typedef struct DomainFile {
        PropertyValue values[_PROPERTY_N];
} DomainFile;

/** domain_file_deinit() - free the values; harmless on what is empty */
void domain_file_deinit(DomainFile *file);

/**
 * domain_file_parse() - what the file sets
 * @path:           as it should be shown in diagnostics
 * @untrusted_data: @n bytes
 * @reterr:         all that is wrong with it is appended
 * @file:           must be empty; receives the properties, also on DOMAIN_FILE_E_INVALID those that are right (the
 *                  others have a line and no text), so that other files can be checked against it
 *
 * Return: 0, DOMAIN_FILE_E_INVALID, or a negative error.
 */
int domain_file_parse(const char *path, const char *untrusted_data, size_t n, Diagnostics *reterr, DomainFile *file);

/** domain_file_format() - @file in canonical text; the caller frees it. Return: 0 or a negative error */
int domain_file_format(const DomainFile *file, char **ret_text, size_t *ret_n);

/**
 * domain_file_edit() - change one line of a file that parses, and leave every other as it is
 * @text:  @n bytes, NUL-terminated (the file, or "")
 * @value: its new value, one that property_value_parse() accepts; NULL: remove the line
 *
 * A comment at the end of the changed line stays. A new line goes below the last one that sets something.
 * Return: 0 or a negative error.
 */
int domain_file_edit(const char *text, size_t n, Property property, const char *value, char **ret_text, size_t *ret_n);
