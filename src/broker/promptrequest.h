/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question as bytes: the JSON that policy.Ask gets (policy specification, 7.2), in ASCII and as Qubes' own programs
 * write it, with our members behind theirs:
 *
 *   "prompt"     a name for this question that nobody can guess, for policy.AskCount
 *   "allow_for"  seconds that may be granted, ascending
 *   "quiet_for"  seconds that "no" may last
 *   "timeout"    seconds until nobody waits for the answer
 *
 * Pure.
 */
#pragma once

#include <stddef.h>

#include "broker/askconfig.h"
#include "policy/question.h"

/** Digits of a prompt's name, and a NUL. */
#define PROMPT_NAME_SIZE 33

typedef struct PromptRequest {
        const PolicyQuestion *question;
        const char *prompt;
        const AskDurations *allow_for, *quiet_for;
        uint32_t timeout_sec;
} PromptRequest;

/** prompt_request_format() - the caller frees *@ret_text. Return: 0 or a negative error */
int prompt_request_format(const PromptRequest *request, char **ret_text, size_t *ret_n);

/** What policy.Notify is told. */
typedef struct PromptNotice {
        const char *resolution; /* "allow", "deny", "fail" */
        const char *service;    /* NAME or NAME+ARGUMENT */
        const char *source, *target;
        unsigned count; /* how many such there were; 1 is not said */
} PromptNotice;

/** prompt_notice_format() - the JSON of policy.Notify, with our "count"; the caller frees it. Return: 0 or -errno */
int prompt_notice_format(const PromptNotice *notice, char **ret_text, size_t *ret_n);
