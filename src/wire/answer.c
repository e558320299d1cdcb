/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/number.h"

static bool answer_skip(const char **text, size_t *n, const char *prefix) {
        size_t n_prefix = strlen(prefix);

        if (*n < n_prefix || memcmp(*text, prefix, n_prefix) != 0)
                return false;
        *text += n_prefix;
        *n -= n_prefix;
        return true;
}

static bool answer_is_number(const char *text, size_t n, uint32_t *ret_sec) {
        uint64_t value;

        if (number_parse(text, n, 1, ANSWER_SEC_MAX, &value))
                return false;
        *ret_sec = (uint32_t)value;
        return true;
}

int answer_decode(const char *untrusted_text, size_t n, Answer *ret_answer) {
        const char *text = untrusted_text;
        Answer answer = {};

        if (n > ANSWER_MAX || memchr(text, '\0', n) || memchr(text, '\n', n))
                return ANSWER_E_MALFORMED;
        if (answer_skip(&text, &n, "allow:")) {
                answer.allow = true;
        } else if (answer_skip(&text, &n, "allow-for:")) {
                const char *colon = memchr(text, ':', n);

                if (!colon || !answer_is_number(text, (size_t)(colon - text), &answer.sec))
                        return ANSWER_E_MALFORMED;
                answer.allow = true;
                n -= (size_t)(colon + 1 - text);
                text = colon + 1;
        } else if (answer_skip(&text, &n, "deny-for:")) {
                if (!answer_is_number(text, n, &answer.sec))
                        return ANSWER_E_MALFORMED;
        } else if (!answer_skip(&text, &n, "deny") || n != 0) {
                return ANSWER_E_MALFORMED;
        }
        if (answer.allow) {
                if (n == 0)
                        return ANSWER_E_MALFORMED;
                answer.target = text;
                answer.n_target = n;
        }
        *ret_answer = answer;
        return 0;
}

size_t answer_encode(const Answer *answer, char ret_text[static ANSWER_MAX + 1]) {
        char sec[16] = "";
        int n;

        if (answer->allow && answer->n_target > ANSWER_MAX)
                return 0;
        if (answer->sec > 0)
                snprintf(sec, sizeof(sec), "%u", answer->sec);
        if (answer->allow)
                n = snprintf(ret_text, ANSWER_MAX + 1, "allow%s%s:%.*s", sec[0] ? "-for:" : "", sec,
                             (int)answer->n_target, answer->target);
        else
                n = snprintf(ret_text, ANSWER_MAX + 1, "deny%s%s", sec[0] ? "-for:" : "", sec);
        return n > 0 && n <= ANSWER_MAX ? (size_t)n : 0;
}
