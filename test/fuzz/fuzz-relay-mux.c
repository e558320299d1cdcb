/* SPDX-License-Identifier: Apache-2.0 */
/* A packet of the SSH client: no field beyond what it says, texts with an end. */
#include "fuzz.h"

#include <string.h>

#include "relay/mux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        MuxReply reply, again;
        size_t length;

        if (n >= MUX_LENGTH_SIZE && mux_length_decode(data, &length) == 0)
                fuzz_check(length <= MUX_PACKET_MAX);
        if (mux_reply_decode(data, n, &reply))
                return 0;
        fuzz_check(n >= 4 && strlen(reply.reason) <= MUX_REASON_MAX);
        /* A byte more or less is another packet, but where anything may follow. */
        if (reply.type == MUX_TYPE_EXIT_MESSAGE || reply.type == MUX_TYPE_SESSION_OPENED ||
            reply.type == MUX_TYPE_FAILURE || reply.type == MUX_TYPE_PERMISSION_DENIED)
                fuzz_check(mux_reply_decode(data, n - 1, &again) == MUX_E_MALFORMED);
        return 0;
}
