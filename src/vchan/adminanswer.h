/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the administration of the host answers (protocol specification, 4.3), to the end of its connection: "0", NUL and data;
 * or "2", NUL, the name of an exception, NUL and whatever it has to say.
 */
#pragma once

#include <stddef.h>

/** Longest answer. */
#define ADMIN_ANSWER_MAX 65534

enum {
        _ADMIN_ANSWER_E_SUCCESS,
        ADMIN_ANSWER_E_EXCEPTION, /* what it has is the exception's name */
        ADMIN_ANSWER_E_MALFORMED, /* too short, too long, or of no such kind */
};

typedef struct AdminAnswer {
        const char *untrusted_text; /* the data or the name; not NUL-terminated, points into what was decoded */
        size_t n_text;
} AdminAnswer;

/** admin_answer_decode() - decode a whole answer; pure. Return: 0 or ADMIN_ANSWER_E_…; *@ret_answer is set but for MALFORMED */
int admin_answer_decode(const char *untrusted_data, size_t n, AdminAnswer *ret_answer);
