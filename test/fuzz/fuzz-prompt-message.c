/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "prompt/header.h"
#include "prompt/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *line = malloc(n + 1), *again = NULL;
        Message message;
        Header header;

        if (!line)
                return 0;
        if (header_decode((const char *)data, n, &header) == 0) {
                fuzz_check(header.n <= n && data[header.n - 1] == '\0' && header.source[0] != '\0');
                fuzz_check(!strchr(header.service, ' ') && !strchr(header.source, ' '));
        }
        if (n > 0)
                memcpy(line, data, n);
        line[n] = '\0';
        if (message_decode(line, &message))
                return 0;
        fuzz_check(message.number > 0 && (message.kind != MESSAGE_KIND_COUNT || message.count > 0));
        fuzz_check(message_encode(&message, &again) == 0 && strcmp(line, again) == 0);
        return 0;
}
