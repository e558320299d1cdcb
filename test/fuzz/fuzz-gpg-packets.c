/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "gpg/packets.h"

/* What is let through begins as a packet, has no secret key in it, and is let through again as it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ uint8_t *out = NULL, *again = NULL;
        size_t n_out, n_again;

        if (gpg_packets_filter(data, n, false, &out, &n_out))
                return 0;
        fuzz_check(n_out > 0 && n_out <= n);
        fuzz_check((out[0] & 0xc0) == 0xc0 ? (out[0] & 0x3f) == 6 || (out[0] & 0x3f) == 2
                                           : (out[0] & 0xbc) == 0x98 || (out[0] & 0xbc) == 0x88);
        fuzz_check(gpg_packets_filter(out, n_out, false, &again, &n_again) == 0);
        fuzz_check(n_again == n_out && memcmp(out, again, n_out) == 0);
        return 0;
}
