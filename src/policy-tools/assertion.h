/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions about a policy, one on a line:
 *
 *   # keys are handed out without a question
 *   work -> vault qubes.Ssh: allow target=vault user=keys
 *   work -> @default qubes.OpenURL+https: ask default_target=web
 *   relay for far-a -> web s.Go: deny
 *
 *   assertion = source ["for" remote] "->" target service ":" outcome *field
 *   outcome   = "allow" / "ask" / "deny"
 *   field     = key "=" value                        keys and values of policy-tools/decision.h
 *
 * Words are separated by blanks, the colon follows the service directly. An outcome of which fewer fields are written
 * than it has holds whatever the others are. Lines that are empty or begin with `#` say nothing.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "policy-tools/decision.h"

/** Fields of one assertion: each key once. */
#define POLICY_ASSERTION_FIELDS_MAX _POLICY_FIELD_N

/** One assertion; texts point into the line. */
typedef struct PolicyAssertion {
        unsigned line; /* from 1 */
        PolicyRequest request;
        PolicyOutcome outcome;
        PolicySlice fields[_POLICY_FIELD_N]; /* expected values; of those in has_field */
        bool has_field[_POLICY_FIELD_N];
} PolicyAssertion;

enum {
        _POLICY_ASSERTION_E_SUCCESS,
        POLICY_ASSERTION_E_NOTHING, /* an empty line or a comment */
        POLICY_ASSERTION_E_SYNTAX,  /* reported */
};

/**
 * policy_assertion_parse() - understand a line
 * @path, @line: where it stands, for diagnostics
 * @text:        without its line end, blanks removed from both ends, valid UTF-8
 *
 * Return: 0, POLICY_ASSERTION_E_…, or a negative error.
 */
int policy_assertion_parse(const char *path, unsigned line, PolicySlice text, Diagnostics *reterr,
                           PolicyAssertion *ret_assertion);

/** policy_assertion_holds() - is this what was decided? */
bool policy_assertion_holds(const PolicyAssertion *assertion, const PolicyDecision *decision);

/** policy_assertion_format() - the expected outcome and fields; the caller frees it. Return: NULL if there is no memory */
char *policy_assertion_format(const PolicyAssertion *assertion);
