/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/record.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"

#define RECORD_VERSION "1"

static const char *const record_names[_RECORD_FIELD_N] = {
        [RECORD_SOURCE] = "source",     [RECORD_AGENT] = "agent",         [RECORD_KIND] = "kind",
        [RECORD_KEY] = "key",           [RECORD_COMMENT] = "comment",     [RECORD_USER] = "user",
        [RECORD_HOST] = "host",         [RECORD_HOSTKEY] = "hostkey",     [RECORD_PROOF] = "proof",
        [RECORD_VIA] = "via",           [RECORD_NAMESPACE] = "namespace", [RECORD_HASH] = "hash",
        [RECORD_CERTKIND] = "certkind", [RECORD_CERTID] = "certid",       [RECORD_PRINCIPALS] = "principals",
        [RECORD_VALIDITY] = "validity", [RECORD_COMMAND] = "command",     [RECORD_BYTES] = "bytes",
        [RECORD_DIGEST] = "digest",     [RECORD_START] = "start",         [RECORD_VERDICT] = "verdict",
        [RECORD_WHY] = "why",
};

void record_deinit(Record *record) {
        free(record->text);
        *record = (Record){};
}

static bool record_is_value(const char *value) {
        size_t n = 0;

        while (value[n] >= ' ' && value[n] <= '~')
                ++n;
        return value[n] == '\0' && n <= RECORD_VALUE_MAX;
}

/* Return: 0 or RECORD_E_MALFORMED */
static int record_take_number(const char *value, uint32_t max, uint32_t *ret_number, bool *seen) {
        uint64_t number = 0;

        if (*seen || (value[0] != '\0' && number_parse(value, strlen(value), 0, max, &number)))
                return RECORD_E_MALFORMED;
        *seen = true;
        *ret_number = (uint32_t)number;
        return 0;
}

typedef struct RecordSeen {
        bool version, grant, timeout;
} RecordSeen;

static int record_take(Record *record, RecordSeen *seen, const char *name, const char *value) {
        if (!record_is_value(value))
                return RECORD_E_MALFORMED;
        if (strcmp(name, "v") == 0) {
                if (seen->version || strcmp(value, RECORD_VERSION) != 0)
                        return RECORD_E_MALFORMED;
                seen->version = true;
                return 0;
        }
        /* The first line says what the others mean. */
        if (!seen->version)
                return RECORD_E_MALFORMED;
        if (strcmp(name, "grant") == 0)
                return record_take_number(value, RECORD_GRANT_MAX, &record->grant_sec, &seen->grant);
        if (strcmp(name, "timeout") == 0)
                return record_take_number(value, RECORD_TIMEOUT_MAX, &record->timeout_sec, &seen->timeout);
        for (size_t i = 0; i < _RECORD_FIELD_N; ++i) {
                if (strcmp(name, record_names[i]) != 0)
                        continue;
                if (record->values[i])
                        return RECORD_E_MALFORMED;
                record->values[i] = value;
        }
        return 0;
}

static int record_take_lines(Record *record, char *text) {
        RecordSeen seen = {};

        while (*text) {
                char *end = strchr(text, '\n'), *equals = strchr(text, '=');
                int r;

                if (!end || !equals || equals > end || equals == text)
                        return RECORD_E_MALFORMED;
                *end = *equals = '\0';
                r = record_take(record, &seen, text, equals + 1);
                if (r)
                        return r;
                text = end + 1;
        }
        return seen.version ? 0 : RECORD_E_MALFORMED;
}

int record_parse(const char *untrusted_text, size_t n, Record *ret_record) {
        _cleanup_(record_deinit) Record record = {};
        int r;

        if (n > RECORD_MAX || memchr(untrusted_text, '\0', n))
                return RECORD_E_MALFORMED;
        record.text = strndup(untrusted_text, n);
        if (!record.text)
                return error_origin(-ENOMEM);
        r = record_take_lines(&record, record.text);
        if (r)
                return r;
        for (size_t i = 0; i < _RECORD_FIELD_N; ++i)
                if (!record.values[i])
                        record.values[i] = "";
        if (record.values[RECORD_SOURCE][0] == '\0')
                return RECORD_E_MALFORMED;
        *ret_record = record;
        record = (Record){};
        return 0;
}
