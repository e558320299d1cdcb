/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person is asked when policy says `ask`: the choices, and what each answer means (policy specification, 5.4).
 *
 * The choices are collected over the whole policy, not only from the rule that asks: every rule whose service, argument
 * and source match adds its targets, or, if it denies, takes them away from those that later rules offer.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "policy/evaluate.h"
#include "policy/facts.h"
#include "policy/policy.h"
#include "policy/resolution.h"

/** Holds references to the policy and the facts; the request's texts must outlive it. */
typedef struct PolicyQuestion {
        Policy *policy;
        PolicyFacts *facts;
        PolicyResolution resolution; /* ASK */
        char **choices;              /* sorted by bytes, without duplicates */
        size_t n_choices;
        const char *default_choice; /* one of the choices; NULL: none */
        char *dropped_default;      /* default_target= as resolved, if it is not among the choices: to be logged */
} PolicyQuestion;

enum {
        _POLICY_QUESTION_E_SUCCESS,
        POLICY_QUESTION_E_DENIED, /* there is nothing to ask: the resolution has become a refusal */
};

/**
 * policy_question_new() - compose a question
 * @resolution:   ASK, of the same policy and facts; becomes DENY if there is nothing to choose from, or on a fault
 * @ret_question: the caller frees it
 *
 * Return: 0, POLICY_QUESTION_E_DENIED, or a negative error.
 */
int policy_question_new(Policy *policy, PolicyFacts *facts, PolicyResolution *resolution,
                        PolicyQuestion **ret_question);

/** policy_question_free() - accepts NULL. Return: NULL */
PolicyQuestion *policy_question_free(PolicyQuestion *question);
DEFINE_CLEANUP(PolicyQuestion *, policy_question_free)

/**
 * policy_question_answer() - a person, or somebody in their place, has chosen
 * @untrusted_choice: compared with the choices
 * @ret_resolution:   ALLOW, to be routed like any; DENY if it is no choice. Points into @question
 */
void policy_question_answer(const PolicyQuestion *question, PolicySlice untrusted_choice,
                            PolicyResolution *ret_resolution);

/** policy_question_refuse() - the person said no, nobody could be asked (USER), or the answer was gibberish (BAD_ANSWER) */
void policy_question_refuse(const PolicyQuestion *question, PolicyReason reason, PolicyResolution *ret_resolution);

/** policy_question_warning() - about dropped_default, which must not be NULL; the caller frees it. Return: NULL if there
 * is no memory */
char *policy_question_warning(const PolicyQuestion *question);
