/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that begin with `!`, and the old format's way of writing lines (policy specification, section 3). Pure: what a
 * directive names is not looked at.
 */
#pragma once

#include <stdbool.h>

#include "policy/rule.h"
#include "policy/slice.h"

typedef enum PolicyDirectiveKind {
        POLICY_DIRECTIVE_INCLUDE,         /* `!include PATH` (3.2) */
        POLICY_DIRECTIVE_INCLUDE_DIR,     /* `!include-dir PATH` (3.3) */
        POLICY_DIRECTIVE_INCLUDE_SERVICE, /* `!include-service SERVICE ARGUMENT PATH` (3.4) */
        POLICY_DIRECTIVE_COMPAT,          /* `!compat-4.0` (3.6) */
        _POLICY_DIRECTIVE_N,
} PolicyDirectiveKind;

typedef struct PolicyDirective {
        PolicyDirectiveKind kind;
        PolicySlice path;      /* as written, in the line; empty for COMPAT */
        PolicySubject subject; /* of INCLUDE_SERVICE */
} PolicyDirective;

/**
 * policy_directive_parse() - a line that begins with `!`
 * @kinds: BIT() of those that may stand here: all, or INCLUDE alone in the old format (3.5)
 * @line:  trimmed, valid UTF-8; in the old format after its replacements
 *
 * Return: 0, POLICY_RULE_E_SYNTAX, or a negative error.
 */
int policy_directive_parse(PolicyContext *context, unsigned kinds, PolicySlice line, PolicyDirective *ret_directive);

/**
 * policy_old_translate() - the replacements of 3.5: `$include:` to `!include `, `$` to `@`, `,` to a space
 *
 * None of them changes the length: the text has @line.n bytes, and a NUL. The caller frees it. Return: NULL if there is
 * no memory.
 */
char *policy_old_translate(PolicySlice line);
