/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy says about one request: lines `key=value` (protocol specification, 7.6).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** Longest answer. */
#define POLICY_ANSWER_MAX 4095

enum {
        _POLICY_ANSWER_E_SUCCESS,
        POLICY_ANSWER_E_MALFORMED,
};

/** The strings point into @text. */
typedef struct PolicyAnswer {
        bool allow;
        /* allow: */
        const char *user;
        const char *target;
        const char *requested_target;
        bool autostart;
        /* if given, else NULL: */
        const char *target_uuid;
        const char *service;
        const char *policy_source;
        char text[POLICY_ANSWER_MAX + 1];
} PolicyAnswer;

/**
 * policy_answer_parse() - parse a whole answer; pure
 *
 * Unknown keys are ignored, and logged. *@ret_answer must not be moved or copied. Return: 0 or POLICY_ANSWER_E_MALFORMED.
 */
int policy_answer_parse(const char *data, size_t n, PolicyAnswer *ret_answer);
