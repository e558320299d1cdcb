/* SPDX-License-Identifier: Apache-2.0 */
/* A data line that was read, written again and read once more is the same bytes. */
#include "fuzz.h"

#include <string.h>

#include "gpg2/assuan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        uint8_t bytes[ASSUAN_DATA_PER_LINE], again[ASSUAN_DATA_PER_LINE];
        char line[ASSUAN_LINE_MAX + 1];
        size_t n_bytes = 0, n_again = 0, n_line, i_rest;

        fuzz_check(assuan_split((const char *)data, n, &i_rest) <= i_rest && i_rest <= n);
        (void)assuan_word((const char *)data, n);
        if (assuan_data_decode((const char *)data, n, bytes, sizeof(bytes), &n_bytes))
                return 0;
        fuzz_check(n_bytes <= n);
        n_line = assuan_data_encode(bytes, n_bytes, line);
        fuzz_check(n_line <= sizeof(line) && line[n_line - 1] == '\n' && !memchr(line, '\n', n_line - 1));
        fuzz_check(assuan_data_decode(line + 2, n_line - 3, again, sizeof(again), &n_again) == 0);
        fuzz_check(n_again == n_bytes && memcmp(again, bytes, n_bytes) == 0);
        return 0;
}
