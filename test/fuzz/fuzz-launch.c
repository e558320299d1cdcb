/* SPDX-License-Identifier: Apache-2.0 */
/* A request for a start that was parsed is what would be written for it. */
#include "fuzz.h"

#include <string.h>

#include "supervisor/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char text[LAUNCH_REQUEST_MAX + 1];
        DomainName domain;
        LaunchKind kind;

        if (launch_parse((const char *)data, n, &kind, &domain))
                return 0;
        fuzz_check(kind < _LAUNCH_KIND_N);
        fuzz_check(launch_format(kind, &domain, text) == n && memcmp(text, data, n) == 0);
        return 0;
}
