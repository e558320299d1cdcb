/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/header.h"
#include "wire/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        uint8_t bytes[REPLY_REFUSED_SIZE];
        Reply reply, again;
        int r = reply_decode(data, n, &reply);

        /* It is complete at exactly one length: no shorter beginning of it is, and nothing longer. */
        for (size_t i = 0; i < n && i < REPLY_REFUSED_SIZE; ++i)
                if (r == 0)
                        fuzz_check(reply_decode(data, i, &again) == REPLY_E_MORE);
        if (r)
                return 0;
        fuzz_check(reply_encode(&reply, bytes) == n);
        fuzz_check(memcmp(bytes, data, REPLY_SIZE) == 0);
        fuzz_check(reply_decode(bytes, n, &again) == 0);
        fuzz_check(again.connect_domain == reply.connect_domain && again.connect_port == reply.connect_port &&
                   again.reason == reply.reason);
        fuzz_check((reply.connect_domain == WIRE_DOMAIN_REFUSED) == (reply.reason != 0));
        return 0;
}
