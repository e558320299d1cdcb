/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of --list-options, --verify-options and --export-options (split-gpg specification, 5.9). The rewriting is
 * prescribed, and done here once, so that what is checked is what GnuPG gets.
 *
 *   list      = [separators] [item *(separators item)] [separators]        ; or exactly "help"
 *   item      = ["no-"] name *SP ["=" *SP argument]
 *   argument  = "" / number / DQUOTE number *(separators number) DQUOTE    ; show-sig-subpackets alone
 *   number    = 1 to 127, in decimal
 *
 * Pure.
 */
#pragma once

#include <stddef.h>

#include "gpg/option.h"

/** Longest message of gpg_option_list_rewrite(), with its NUL. */
#define GPG_OPTION_LIST_COMPLAINT_MAX 160

enum {
        _GPG_OPTION_LIST_E_SUCCESS,
        GPG_OPTION_LIST_E_MALFORMED, /* it says why */
};

/**
 * gpg_option_list_rewrite() - put a list into its canonical form: lower case, single commas, no blanks
 * @untrusted_text: NUL-terminated; rewritten in place, since the canonical form is never longer. Undefined on failure
 * @reterr_text:    what is wrong, printable ASCII
 *
 * Return: 0 or GPG_OPTION_LIST_E_MALFORMED.
 */
int gpg_option_list_rewrite(GpgListKind kind, char *untrusted_text,
                            char reterr_text[static GPG_OPTION_LIST_COMPLAINT_MAX]);
