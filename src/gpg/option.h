/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of GnuPG that may cross from one domain to another (split-gpg specification, 5.3 and 5.4): one table, used
 * by the client and by the server, since both derive from the same words which descriptors there are (6.4).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** What an option means to us; GnuPG gets all that are not forbidden. */
typedef enum GpgOptionKind {
        GPG_OPTION_KIND_PLAIN,
        GPG_OPTION_KIND_FILE_COMMAND, /* a command whose words are files (5.5) */
        GPG_OPTION_KIND_USER_COMMAND, /* a command whose words are user IDs */
        GPG_OPTION_KIND_VERIFY,       /* as FILE_COMMAND, and its first word is a signature (5.8) */
        GPG_OPTION_KIND_OUTPUT,       /* only `-` (5.7) */
        GPG_OPTION_KIND_FD,           /* an output descriptor, at most once (5.6) */
        GPG_OPTION_KIND_LIST,         /* an option list (5.9) */
        GPG_OPTION_KIND_FORBIDDEN,    /* known, so that its arity is right; refused (5.4) */
} GpgOptionKind;

/** What a call does, in words for people (8.3). */
typedef enum GpgOperation {
        GPG_OPERATION_OTHER,
        GPG_OPERATION_LIST,
        GPG_OPERATION_VERIFY,
        GPG_OPERATION_EXPORT,
        GPG_OPERATION_ENCRYPT,
        GPG_OPERATION_DECRYPT,
        GPG_OPERATION_SIGN,
        GPG_OPERATION_IMPORT, /* of no option: a service of its own */
        _GPG_OPERATION_N,
} GpgOperation;

/** Of an option with GPG_OPTION_KIND_LIST: which names it knows. */
typedef enum GpgListKind {
        GPG_LIST_KIND_LIST,
        GPG_LIST_KIND_VERIFY,
        GPG_LIST_KIND_EXPORT,
        _GPG_LIST_KIND_N,
} GpgListKind;

typedef struct GpgOption {
        const char *name; /* without the dashes */
        char letter;      /* '\0': none */
        bool has_value;
        GpgOptionKind kind;
        GpgOperation operation; /* of a command */
        GpgListKind list;
} GpgOption;

/** gpg_option_find() - by its whole name, @n bytes: abbreviations name nothing. Return: the option, or NULL */
const GpgOption *gpg_option_find(const char *untrusted_name, size_t n);

/** gpg_option_find_letter() - the short form. Return: the option, or NULL */
const GpgOption *gpg_option_find_letter(char untrusted_letter);

/** gpg_option_get() - the option with index @i, in the table's order; NULL ends it */
const GpgOption *gpg_option_get(size_t i);

/**
 * gpg_option_hint() - why an option that the table does not have is refused, and what to do instead
 *
 * Only for options that people try. Return: the end of a sentence, or NULL.
 */
const char *gpg_option_hint(const char *untrusted_name, size_t n);

/** gpg_operation_text() - "sign", "encrypt" … "other" */
const char *gpg_operation_text(GpgOperation operation);
