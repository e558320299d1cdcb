/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/record.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

static const char *const record_event_names[_RECORD_EVENT_N] = {
        [RECORD_EVENT_START] = "start",
        [RECORD_EVENT_END] = "end",
        [RECORD_EVENT_REFUSED] = "refused",
        [RECORD_EVENT_LOST] = "lost",
};

const char *stage_name(Stage stage) {
        static const char *const names[_STAGE_N] = {
                [STAGE_DECIDE] = "decide",   [STAGE_ASK] = "ask", [STAGE_START] = "start",
                [STAGE_CONNECT] = "connect", [STAGE_RUN] = "run",
        };

        return names[stage];
}

/* A field's name in JSON; the journal's is the same in capitals behind QAIR_. */
typedef struct RecordText {
        char *buffer;
        size_t n, n_max;
        bool is_json;
} RecordText;

/* The texts of a record are cut before they come here, so that everything fits: RECORD_SIZE_MAX. */
static void record_add(RecordText *text, const char *bytes, size_t n) {
        if (n > text->n_max - text->n)
                n = text->n_max - text->n;
        memcpy(text->buffer + text->n, bytes, n);
        text->n += n;
}

static void record_words(RecordText *text, const char *words) {
        record_add(text, words, strlen(words));
}

static void record_name(RecordText *text, const char *name) {
        char capitals[32];
        size_t n = 0;

        if (text->is_json) {
                record_words(text, text->n == 1 ? "\"" : ",\"");
                record_words(text, name);
                record_words(text, "\":");
                return;
        }
        for (; name[n] && n < sizeof(capitals); ++n)
                capitals[n] = name[n] >= 'a' && name[n] <= 'z' ? (char)(name[n] - 'a' + 'A') : name[n];
        record_words(text, "QAIR_");
        record_add(text, capitals, n);
        record_words(text, "=");
}

/* Escaped text is printable ASCII: for JSON only the quote and the backslash are left to escape. */
static void record_escaped(RecordText *text, const char *escaped) {
        if (!text->is_json) {
                record_words(text, escaped);
                return;
        }
        for (; *escaped; ++escaped) {
                if (*escaped == '"' || *escaped == '\\')
                        record_add(text, "\\", 1);
                record_add(text, escaped, 1);
        }
}

static void record_text(RecordText *text, const char *name, const char *untrusted_value, size_t n_value, size_t n_max) {
        char escaped[RECORD_ARGUMENT_MAX + 1];

        record_name(text, name);
        record_words(text, text->is_json ? "\"" : "");
        record_escaped(text, escape(escaped, n_max + 1, untrusted_value, n_value));
        record_words(text, text->is_json ? "\"" : "\n");
}

static void record_string(RecordText *text, const char *name, const char *untrusted_value) {
        if (untrusted_value)
                record_text(text, name, untrusted_value, strnlen(untrusted_value, RECORD_TEXT_MAX), RECORD_TEXT_MAX);
}

static void record_number(RecordText *text, const char *name, uint64_t value) {
        char digits[32];

        record_name(text, name);
        snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
        record_words(text, digits);
        record_words(text, text->is_json ? "" : "\n");
}

static void record_service(RecordText *text, const Record *record) {
        const char *plus;
        size_t n;

        if (!record->service)
                return;
        plus = strchr(record->service, '+');
        n = plus ? (size_t)(plus - record->service) : strlen(record->service);
        record_text(text, "service", record->service, n, RECORD_TEXT_MAX);
        if (!plus)
                return;
        n = strlen(plus + 1);
        record_text(text, "argument", plus + 1, n, RECORD_ARGUMENT_MAX);
        if (record->n_argument > n || n > RECORD_ARGUMENT_MAX)
                record_number(text, "argument_bytes", record->n_argument > n ? record->n_argument : n);
}

static void record_all(RecordText *text, const Record *record) {
        record_string(text, "event", record_event_names[record->event]);
        if (record->event != RECORD_EVENT_LOST)
                record_number(text, "call_id", record->call);
        record_string(text, "source", record->source);
        record_string(text, "relay", record->relay);
        record_string(text, "requested_source", record->requested_source);
        record_string(text, "requested_target", record->requested_target);
        record_string(text, "target", record->target);
        record_string(text, "via", record->via);
        record_service(text, record);
        record_string(text, "decision", record->decision);
        record_string(text, "rule", record->rule);
        record_string(text, "asked", record->asked);
        if (record->grant > 0)
                record_number(text, "grant", record->grant);
        record_string(text, "reason", record->reason);
        record_string(text, "told", record->told);
        record_string(text, "how", record->how);
        if (record->status >= 0)
                record_number(text, "status", (uint64_t)record->status);
        if (record->n_lost >= 0)
                record_number(text, "count", (uint64_t)record->n_lost);
        for (unsigned stage = 0; stage < _STAGE_N; ++stage) {
                char name[32];

                if (record->stage_usec[stage] == STAGE_NONE)
                        continue;
                snprintf(name, sizeof(name), "%s_usec", stage_name((Stage)stage));
                record_number(text, name, record->stage_usec[stage]);
        }
}

size_t record_json(const Record *record, char buffer[static RECORD_SIZE_MAX]) {
        RecordText text = { .buffer = buffer, .n_max = RECORD_SIZE_MAX, .is_json = true };
        char time[CLOCK_TEXT_MAX];

        record_words(&text, "{");
        record_string(&text, "time", clock_format(record->realtime_usec, time));
        record_all(&text, record);
        record_words(&text, "}\n");
        return text.n;
}

size_t record_journal(const Record *record, char buffer[static RECORD_SIZE_MAX]) {
        RecordText text = { .buffer = buffer, .n_max = RECORD_SIZE_MAX };
        char priority[32], escaped[RECORD_MESSAGE_MAX];

        snprintf(priority, sizeof(priority), "PRIORITY=%d\n", record->priority);
        record_words(&text, "SYSLOG_IDENTIFIER=qrexecd\n");
        record_words(&text, priority);
        record_words(&text, "MESSAGE=");
        record_words(&text, escape(escaped, sizeof(escaped), record->message ?: "", strlen(record->message ?: "")));
        record_words(&text, "\n");
        record_all(&text, record);
        return text.n;
}

size_t record_convert(bool from_json, const char *data, size_t n, char buffer[static RECORD_CONVERTED_MAX]) {
        RecordText text = { .buffer = buffer, .n_max = RECORD_CONVERTED_MAX, .is_json = !from_json };

        if (from_json) {
                record_words(&text, "SYSLOG_IDENTIFIER=qrexecd\nPRIORITY=6\nMESSAGE=");
                record_add(&text, data, n); /* ends with a newline, and has no other */
                return text.n;
        }
        record_words(&text, "{");
        record_name(&text, "journal");
        record_words(&text, "\"");
        for (size_t i = 0; i < n; ++i) {
                if (data[i] == '\n')
                        record_words(&text, "\\n");
                else
                        record_escaped(&text, (char[2]){ data[i], '\0' });
        }
        record_words(&text, "\"}\n");
        return text.n;
}
