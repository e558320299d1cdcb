/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rule: a line of a policy file, understood (policy specification, section 2).
 *
 *   SERVICE ARGUMENT SOURCE TARGET ACTION [PARAM …]
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/diagnostic.h"
#include "policy/atom.h"
#include "policy/slice.h"
#include "policy/token.h"

typedef enum PolicyAction {
        POLICY_ACTION_DENY,
        POLICY_ACTION_ASK,
        POLICY_ACTION_ALLOW,
} PolicyAction;

typedef struct PolicyRule {
        const PolicyAtom *path;     /* of the file; the real path if it was included (3.1) */
        unsigned line;              /* from 1; 0: not written anywhere, added by !compat-4.0 (3.6) */
        const PolicyAtom *service;  /* NULL: any */
        const PolicyAtom *argument; /* with its `+`; NULL: any */
        PolicyToken source;
        PolicyToken target;
        PolicyAction action;
        PolicyToken redirect;       /* target= */
        PolicyToken default_target; /* default_target= */
        const PolicyAtom *user;     /* user=, may be empty; NULL: not given */
        bool notify;
        bool autostart;
} PolicyRule;

enum {
        _POLICY_RULE_E_SUCCESS,
        POLICY_RULE_E_SYNTAX, /* reported to the diagnostics */
};

/** Where a line stands, whom to tell about its errors, and the table that its words go to. */
typedef struct PolicyContext {
        PolicyAtoms *atoms;
        Diagnostics *reterr;
        const PolicyAtom *path;
        unsigned line;
        PolicySlice whole; /* the line, for diagnostics to say which word of it is meant; may be empty */
        PolicySlice word;  /* that word, if an error is about to be reported */
} PolicyContext;

/** What a rule is about: the first two fields of a line, or what the old format takes from elsewhere (3.4, 3.5). */
typedef struct PolicySubject {
        const PolicyAtom *service;  /* NULL: any */
        const PolicyAtom *argument; /* NULL: any */
} PolicySubject;

/** policy_context_fail() - report a syntax error at the context's line, and its word, which is then forgotten. Return: POLICY_RULE_E_SYNTAX or a negative error */
int policy_context_fail(PolicyContext *context, const char *format, ...) _printf_(2, 3);

/** policy_context_fail_about() - the same, with @text after the message: quoted, or as it is. Return: as above */
int policy_context_fail_about(PolicyContext *context, const char *message, PolicySlice text, bool quoted);

/**
 * policy_subject_parse() - SERVICE and ARGUMENT (2.2; the checks of 2.7, lines 2 to 5)
 *
 * Return: 0, POLICY_RULE_E_SYNTAX, or a negative error.
 */
int policy_subject_parse(PolicyContext *context, PolicySlice service, PolicySlice argument, PolicySubject *ret_subject);

/**
 * policy_rule_parse() - a whole line (2.1)
 * @line: trimmed, valid UTF-8, neither empty nor a comment nor a directive
 *
 * The first error is reported, in the order of 2.7. The rule's atoms live as long as the context's table.
 * Return: 0, POLICY_RULE_E_SYNTAX, or a negative error.
 */
int policy_rule_parse(PolicyContext *context, PolicySlice line, PolicyRule *ret_rule);

/** policy_rule_parse_old() - `SOURCE TARGET ACTION [PARAM …]`, a line of the old format after its replacements (3.5) */
int policy_rule_parse_old(PolicyContext *context, const PolicySubject *subject, PolicySlice line, PolicyRule *ret_rule);

/**
 * policy_rule_format() - the canonical text (2.9) with all parameters; parsing it again yields the same rule
 *
 * Fields are separated by single tabs, parameters by single spaces; those with their default value are left out.
 * The caller frees it. Return: NULL if there is no memory. NUL bytes in a name are in the text: *@ret_n is its length.
 */
char *policy_rule_format(const PolicyRule *rule, size_t *ret_n);

/** policy_rule_equal() - do two rules, possibly of different tables, say the same? Where they stand is ignored */
bool policy_rule_equal(const PolicyRule *a, const PolicyRule *b);

/** policy_action_name() - "allow", "ask" or "deny" */
const char *policy_action_name(PolicyAction action);
