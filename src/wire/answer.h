/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person said to a question: the answer of policy.Ask (policy specification, 7.2), and ours.
 *
 *   deny                        no
 *   deny-for:SECONDS            no, and do not ask this again for a while (ours)
 *   allow:TARGET                yes, once
 *   allow-for:SECONDS:TARGET    yes, and for a while (ours)
 *
 * Compared exactly: no blanks, no newline behind it, one spelling of each number. Whether TARGET and SECONDS were
 * offered is for whoever asked to say. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest answer in bytes: far longer than any target that an inventory has. */
#define ANSWER_MAX 4096
/** Longest duration: thirty days. */
#define ANSWER_SEC_MAX (UINT32_C(30) * 24 * 3600)

typedef struct Answer {
        bool allow;
        uint32_t sec;       /* 0: once */
        const char *target; /* if @allow; not NUL-terminated, points into what was decoded */
        size_t n_target;
} Answer;

enum {
        _ANSWER_E_SUCCESS,
        ANSWER_E_MALFORMED,
};

/** answer_decode() - Return: 0 or ANSWER_E_MALFORMED */
int answer_decode(const char *untrusted_text, size_t n, Answer *ret_answer);

/** answer_encode() - @ret_text gets a NUL too. Return: its length, or 0: it does not fit */
size_t answer_encode(const Answer *answer, char ret_text[static ANSWER_MAX + 1]);
