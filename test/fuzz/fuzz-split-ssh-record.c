/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "split-ssh/wording.h"

/* Printable ASCII, the newlines of our own, and the two signs that we add. */
static bool is_plain(const char *text, size_t n_lines_max) {
        size_t n_lines = 1;

        while (*text) {
                bool sign = strncmp(text, "\342\200\246", 3) == 0 || strncmp(text, "\342\206\222", 3) == 0;

                if (!sign && *text != '\n' && (*text < ' ' || *text > '~'))
                        return false;
                n_lines += *text == '\n';
                text += sign ? 3 : 1;
        }
        return n_lines <= n_lines_max;
}

/* Whatever a record holds, a person is shown plain text, in no more lines than we make; nothing is cut by our own buffer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char buffer[WORDING_MAX];
        Record record;

        if (record_parse((const char *)data, n, &record))
                return 0;
        for (size_t i = 0; i < _RECORD_FIELD_N; ++i)
                fuzz_check(record.values[i] && strlen(record.values[i]) <= RECORD_VALUE_MAX);
        fuzz_check(record.grant_sec <= RECORD_GRANT_MAX && record.timeout_sec <= RECORD_TIMEOUT_MAX);
        fuzz_check(is_plain(wording_use(&record, buffer), 1));
        fuzz_check(is_plain(wording_arrow(&record, buffer), 1) &&
                   strncmp(buffer, record.values[RECORD_SOURCE], 1) == 0);
        fuzz_check(is_plain(wording_question(&record, buffer), 4) && strlen(buffer) < WORDING_MAX - 1);
        record_deinit(&record);
        return 0;
}
