/* SPDX-License-Identifier: Apache-2.0 */
/* However a stream is cut, its messages are the same. Input: the size of the pieces, the stream. */
#include "fuzz.h"

#include <string.h>

#include "ssh/message.h"

/* The messages at the beginning of @stream: how many bytes they take, and why it ends there. */
static int take_all(const uint8_t *stream, size_t n, size_t *ret_taken) {
        WireSlice message;
        size_t taken = 0;
        int r;

        while ((r = ssh_frame_decode(stream + taken, n - taken, &message)) == 0) {
                fuzz_check(message.n >= 1 && message.n <= SSH_MESSAGE_MAX);
                fuzz_check(message.data == stream + taken + 4 && message.n <= n - taken - 4);
                taken += 4 + message.n;
        }
        *ret_taken = taken;
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        size_t n_piece, whole, taken = 0, have = 0;
        int end, r = SSH_MESSAGE_E_MORE;
        uint32_t length = 0;

        if (n < 1)
                return 0;
        n_piece = data[0] + 1U;
        ++data;
        --n;
        end = take_all(data, n, &whole);
        while (have < n && r == SSH_MESSAGE_E_MORE) {
                size_t more;

                have += n_piece < n - have ? n_piece : n - have;
                r = take_all(data + taken, have - taken, &more);
                taken += more;
        }
        fuzz_check(n == 0 || (r == end && taken == whole));

        /* A length is wrong if it is 0 or too large, and for no other reason. */
        for (size_t i = 0; i < 4 && whole + 4 <= n; ++i)
                length = length << 8 | data[whole + i];
        fuzz_check((end == SSH_MESSAGE_E_LENGTH) == (whole + 4 <= n && (length == 0 || length > SSH_MESSAGE_MAX)));
        return 0;
}
