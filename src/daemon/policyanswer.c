/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policyanswer.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/log.h"

typedef enum AnswerKey {
        ANSWER_KEY_RESULT,
        ANSWER_KEY_USER,
        ANSWER_KEY_TARGET,
        ANSWER_KEY_TARGET_UUID,
        ANSWER_KEY_AUTOSTART,
        ANSWER_KEY_REQUESTED_TARGET,
        ANSWER_KEY_SERVICE,
        ANSWER_KEY_POLICY_SOURCE,
        _ANSWER_KEY_N,
} AnswerKey;

static const char *const answer_keys[_ANSWER_KEY_N] = {
        [ANSWER_KEY_RESULT] = "result",       [ANSWER_KEY_USER] = "user",
        [ANSWER_KEY_TARGET] = "target",       [ANSWER_KEY_TARGET_UUID] = "target_uuid",
        [ANSWER_KEY_AUTOSTART] = "autostart", [ANSWER_KEY_REQUESTED_TARGET] = "requested_target",
        [ANSWER_KEY_SERVICE] = "service",     [ANSWER_KEY_POLICY_SOURCE] = "policy_source",
};

/* One line, whose newline has become its end. */
static int policy_answer_take(const char *line, const char *values[static _ANSWER_KEY_N]) {
        const char *separator = strchr(line, '=');
        size_t n_key;

        if (!separator)
                return POLICY_ANSWER_E_MALFORMED;
        n_key = (size_t)(separator - line);
        for (int key = 0; key < _ANSWER_KEY_N; ++key) {
                if (strlen(answer_keys[key]) != n_key || memcmp(answer_keys[key], line, n_key) != 0)
                        continue;
                if (values[key])
                        return POLICY_ANSWER_E_MALFORMED;
                values[key] = separator + 1;
                return 0;
        }
        log_notice("the policy's answer has a key that is not known: \"%s\"", ESCAPED(line, n_key));
        return 0;
}

static int policy_answer_split(char *text, const char *values[static _ANSWER_KEY_N]) {
        for (char *line = text; *line;) {
                char *end = strchr(line, '\n');

                if (end)
                        *end = '\0';
                /* An empty line has no "=" either. */
                if (policy_answer_take(line, values))
                        return POLICY_ANSWER_E_MALFORMED;
                if (!end)
                        return 0;
                line = end + 1;
        }
        return 0;
}

static int policy_answer_allow(const char *const values[static _ANSWER_KEY_N], PolicyAnswer *answer) {
        const char *autostart = values[ANSWER_KEY_AUTOSTART];

        if (!values[ANSWER_KEY_USER] || !values[ANSWER_KEY_TARGET] || !values[ANSWER_KEY_REQUESTED_TARGET] ||
            !autostart)
                return POLICY_ANSWER_E_MALFORMED;
        answer->allow = true;
        answer->autostart = strcmp(autostart, "True") == 0;
        return answer->autostart || strcmp(autostart, "False") == 0 ? 0 : POLICY_ANSWER_E_MALFORMED;
}

static int policy_answer_deny(const char *const values[static _ANSWER_KEY_N], PolicyAnswer *answer) {
        answer->allow = answer->autostart = false;
        return values[ANSWER_KEY_USER] || values[ANSWER_KEY_TARGET] || values[ANSWER_KEY_REQUESTED_TARGET] ||
                               values[ANSWER_KEY_AUTOSTART]
                       ? POLICY_ANSWER_E_MALFORMED
                       : 0;
}

int policy_answer_parse(const char *data, size_t n, PolicyAnswer *ret_answer) {
        const char *values[_ANSWER_KEY_N] = {};
        PolicyAnswer *answer = ret_answer;
        const char *result;

        if (n > POLICY_ANSWER_MAX || memchr(data, '\0', n))
                return POLICY_ANSWER_E_MALFORMED;
        memcpy(answer->text, data, n);
        answer->text[n] = '\0';
        if (policy_answer_split(answer->text, values))
                return POLICY_ANSWER_E_MALFORMED;

        answer->user = values[ANSWER_KEY_USER];
        answer->target = values[ANSWER_KEY_TARGET];
        answer->requested_target = values[ANSWER_KEY_REQUESTED_TARGET];
        answer->target_uuid = values[ANSWER_KEY_TARGET_UUID];
        answer->service = values[ANSWER_KEY_SERVICE];
        answer->policy_source = values[ANSWER_KEY_POLICY_SOURCE];
        result = values[ANSWER_KEY_RESULT];
        if (result && strcmp(result, "allow") == 0)
                return policy_answer_allow(values, answer);
        if (result && strcmp(result, "deny") == 0)
                return policy_answer_deny(values, answer);
        return POLICY_ANSWER_E_MALFORMED;
}
