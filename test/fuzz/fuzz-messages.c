/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are handed out are, put together again, what came; in pieces of whatever size it came. */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "vchan/messages.h"

#define PAYLOAD_MAX 64

static bool check(const void *userdata, WireHeader header) {
        return header.type != 9;
}

/* All that can be handed out now; *n_out is how many bytes of the input that was. Return: why there is no more */
static int receive_all(Messages *messages, const uint8_t *data, size_t n, size_t *n_out) {
        for (;;) {
                uint8_t header_data[WIRE_HEADER_SIZE], *payload;
                WireHeader header;
                int r;

                r = messages_receive(messages, check, NULL, &header, &payload);
                fuzz_check(r >= 0);
                if (r) {
                        fuzz_check(!messages_is_pending(messages) || r == MESSAGES_E_REFUSED);
                        return r;
                }
                fuzz_check(check(NULL, header) && header.length <= PAYLOAD_MAX);
                fuzz_check(*n_out + WIRE_HEADER_SIZE + header.length <= n);
                wire_header_encode(header, header_data);
                fuzz_check(memcmp(data + *n_out, header_data, WIRE_HEADER_SIZE) == 0);
                fuzz_check(memcmp(data + *n_out + WIRE_HEADER_SIZE, payload, header.length) == 0);
                *n_out += WIRE_HEADER_SIZE + header.length;
        }
}

/* The first byte: how large the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        Messages messages = MESSAGES_INIT;
        size_t n_piece, n_given = 0, n_out = 0;
        int fds[2], r = MESSAGES_E_AGAIN;
        WireHeader header;

        if (n < 1 || n > 4096)
                return 0;
        n_piece = data[0] ? data[0] : n;
        ++data;
        --n;
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        fuzz_check(messages_open(&messages, fds[0], PAYLOAD_MAX) == 0);
        while (r == MESSAGES_E_AGAIN && n_given < n) {
                size_t n_now = n - n_given < n_piece ? n - n_given : n_piece;

                fuzz_check(write(fds[1], data + n_given, n_now) == (ssize_t)n_now);
                n_given += n_now;
                r = receive_all(&messages, data, n_given, &n_out);
        }
        fds[1] = fd_close(fds[1]);
        if (r == MESSAGES_E_AGAIN)
                r = receive_all(&messages, data, n, &n_out);

        switch (r) {
        case MESSAGES_E_END:
                fuzz_check(n_out == n);
                break;
        case MESSAGES_E_BROKEN:
                fuzz_check(n_out < n);
                break;
        default:
                fuzz_check(r == MESSAGES_E_REFUSED);
                fuzz_check(wire_header_decode(data + n_out, n - n_out, &header) == 0);
                fuzz_check(!check(NULL, header) || header.length > PAYLOAD_MAX);
                break;
        }
        messages_close(&messages);
        return 0;
}
