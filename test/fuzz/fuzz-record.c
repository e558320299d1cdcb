/* SPDX-License-Identifier: Apache-2.0 */
/* The input is the texts of a record, separated by NUL: whatever they are, the record is one line with its own fields. */
#include "fuzz.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "broker/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static char buffer[RECORD_SIZE_MAX + 1];
        char *texts = malloc(n + 1);
        Record record = RECORD_INIT;
        const char **fields[] = { &record.source, &record.requested_target, &record.service,
                                  &record.rule,   &record.reason,           &record.message };
        size_t n_fields = 0, n_lines = 0, n_record;
        struct json_object *object;

        if (!texts)
                return 0;
        memcpy(texts, data, n);
        texts[n] = '\0';
        for (size_t at = 0; at <= n && n_fields < sizeof(fields) / sizeof(*fields); at += strlen(texts + at) + 1)
                *fields[n_fields++] = texts + at;

        n_record = record_json(&record, buffer);
        fuzz_check(n_record > 0 && n_record <= RECORD_SIZE_MAX);
        buffer[n_record] = '\0';
        fuzz_check(strchr(buffer, '\n') == buffer + n_record - 1);
        object = json_tokener_parse(buffer);
        fuzz_check(json_object_is_type(object, json_type_object));
        fuzz_check(json_object_object_get_ex(object, "status", NULL) == 0);
        json_object_put(object);

        n_record = record_journal(&record, buffer);
        for (size_t i = 0; i < n_record; ++i) {
                fuzz_check(buffer[i] == '\n' || (buffer[i] >= 0x20 && buffer[i] < 0x7f));
                n_lines += buffer[i] == '\n';
        }
        /* identifier, priority, message, event, call; the texts but the message; the service's argument and its length */
        fuzz_check(n_lines >= 5 && n_lines <= 5 + 5 + 2);
        free(texts);
        return 0;
}
