/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "gpg/request.h"

/* What was taken out of a header is what would be put into one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t header[GPG_REQUEST_SIZE], again[GPG_REQUEST_SIZE];
        static GpgRequest first, second;

        memset(header, 0, sizeof(header));
        memcpy(header, data, n < sizeof(header) ? n : sizeof(header));
        if (gpg_request_decode(header, &first))
                return 0;
        fuzz_check(first.n_arguments <= GPG_REQUEST_ARGUMENTS_MAX && !first.arguments[first.n_arguments]);
        fuzz_check(gpg_request_encode((const char *const *)first.arguments, first.n_arguments, again) == 0);
        fuzz_check(gpg_request_decode(again, &second) == 0);
        fuzz_check(second.n_arguments == first.n_arguments);
        for (size_t i = 0; i < first.n_arguments; ++i)
                fuzz_check(strcmp(first.arguments[i], second.arguments[i]) == 0);
        /* Without a name before the first argument, and with zeros behind the last, there is one way to write it. */
        fuzz_check(header[4] != '\0' || memcmp(header, again, 4 + 1 + header[0] + 256u * header[1]) == 0);
        return 0;
}
