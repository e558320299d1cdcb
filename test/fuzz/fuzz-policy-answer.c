/* SPDX-License-Identifier: Apache-2.0 */
/* An answer that was understood says exactly what it says: written again in our words, it is the same answer. */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/policyanswer.h"

static size_t format(const PolicyAnswer *answer, char *text, size_t n_max) {
        const struct {
                const char *key, *value;
        } lines[] = {
                { "result", answer->allow ? "allow" : "deny" },
                { "user", answer->user },
                { "target", answer->target },
                { "autostart", answer->allow ? answer->autostart ? "True" : "False" : NULL },
                { "requested_target", answer->requested_target },
                { "target_uuid", answer->target_uuid },
                { "service", answer->service },
                { "policy_source", answer->policy_source },
        };
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(lines); ++i)
                if (lines[i].value)
                        n += (size_t)snprintf(text + n, n_max - n, "%s=%s\n", lines[i].key, lines[i].value);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static char text[POLICY_ANSWER_MAX + 2], again_text[POLICY_ANSWER_MAX + 2];
        static PolicyAnswer answer, again;
        size_t n_text;

        log_set_max_level(LOG_LEVEL_ERROR);
        if (policy_answer_parse((const char *)data, n, &answer))
                return 0;
        fuzz_check(answer.allow == (answer.user != NULL) && answer.allow == (answer.target != NULL));
        n_text = format(&answer, text, sizeof(text));
        /* Without its last newline an answer may be the longest there is, and one byte longer in our words. */
        if (n_text > POLICY_ANSWER_MAX)
                return 0;
        fuzz_check(policy_answer_parse(text, n_text, &again) == 0);
        fuzz_check(format(&again, again_text, sizeof(again_text)) == n_text && memcmp(text, again_text, n_text) == 0);
        return 0;
}
