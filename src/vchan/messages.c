/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "wire/hello.h"

/** What is reserved for output at first; most connections never need more. */
#define MESSAGES_OUT_MIN 1024

int messages_open(Messages *messages, int fd, size_t n_payload_max) {
        messages->fd = fd;
        messages->n_in_max = WIRE_HEADER_SIZE + n_payload_max;
        messages->in = malloc(messages->n_in_max);
        return messages->in ? 0 : error_origin(-ENOMEM);
}

void messages_close(Messages *messages) {
        messages->fd = fd_close(messages->fd);
        free(messages->in);
        free(messages->out);
        *messages = MESSAGES_INIT;
}

/* --- in --------------------------------------------------------------------------------------------------------- */

/* What is in the buffer already. */
static int messages_next(Messages *messages, MessagesCheck *check, const void *userdata, WireHeader *ret_header,
                         uint8_t **ret_payload) {
        uint8_t *message = messages->in + messages->n_used;
        size_t n = messages->n_in - messages->n_used;
        WireHeader header;

        if (wire_header_decode(message, n, &header))
                return MESSAGES_E_AGAIN;
        if (!check(userdata, header) || header.length > messages->n_in_max - WIRE_HEADER_SIZE)
                return MESSAGES_E_REFUSED;
        if (n - WIRE_HEADER_SIZE < header.length)
                return MESSAGES_E_AGAIN;
        messages->n_used += WIRE_HEADER_SIZE + header.length;
        *ret_header = header;
        *ret_payload = message + WIRE_HEADER_SIZE;
        return 0;
}

int messages_receive(Messages *messages, MessagesCheck *check, const void *userdata, WireHeader *ret_header,
                     uint8_t **ret_payload) {
        for (;;) {
                size_t n;
                int r;

                r = messages_next(messages, check, userdata, ret_header, ret_payload);
                if (r != MESSAGES_E_AGAIN)
                        return r;
                messages->n_in -= messages->n_used;
                memmove(messages->in, messages->in + messages->n_used, messages->n_in);
                messages->n_used = 0;
                r = socket_receive(messages->fd, messages->in + messages->n_in, messages->n_in_max - messages->n_in, &n,
                                   NULL, 0, NULL);
                switch (r) {
                case 0:
                        messages->n_in += n;
                        break;
                case SOCKET_E_AGAIN:
                        return MESSAGES_E_AGAIN;
                case SOCKET_E_EOF:
                case SOCKET_E_GONE:
                        return messages->n_in > 0 ? MESSAGES_E_BROKEN : MESSAGES_E_END;
                case SOCKET_E_TRUNCATED: /* descriptors that nobody asked for */
                        return MESSAGES_E_BROKEN;
                default:
                        return error_fold(r);
                }
        }
}

bool messages_is_pending(const Messages *messages) {
        size_t n = messages->n_in - messages->n_used;
        WireHeader header;

        return wire_header_decode(messages->in + messages->n_used, n, &header) == 0 &&
               n - WIRE_HEADER_SIZE >= header.length;
}

/* --- out -------------------------------------------------------------------------------------------------------- */

/* What was sent makes room first: of one who reads little by little, the rest is never all gone. */
static int messages_grow(Messages *messages, size_t n) {
        size_t n_max = messages->n_out_max ? messages->n_out_max : MESSAGES_OUT_MIN;
        uint8_t *out;

        if (n_max - messages->n_out < n && messages->n_sent > 0) {
                messages->n_out -= messages->n_sent;
                memmove(messages->out, messages->out + messages->n_sent, messages->n_out);
                messages->n_sent = 0;
        }
        while (n_max - messages->n_out < n)
                n_max *= 2;
        if (n_max == messages->n_out_max)
                return 0;
        out = realloc(messages->out, n_max);
        if (!out)
                return error_origin(-ENOMEM);
        messages->out = out;
        messages->n_out_max = n_max;
        return 0;
}

int messages_send(Messages *messages, const void *data, size_t n) {
        int r;

        r = messages_grow(messages, n);
        if (r)
                return r;
        memcpy(messages->out + messages->n_out, data, n);
        messages->n_out += n;
        return messages_flush(messages);
}

int messages_send_hello(Messages *messages, uint32_t version) {
        uint8_t message[WIRE_HEADER_SIZE + HELLO_SIZE];

        wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, message);
        hello_encode(&(Hello){ .version = version }, message + WIRE_HEADER_SIZE);
        return messages_send(messages, message, sizeof(message));
}

int messages_flush(Messages *messages) {
        while (messages->n_sent < messages->n_out) {
                size_t n;
                int r;

                r = socket_send(messages->fd, messages->out + messages->n_sent, messages->n_out - messages->n_sent,
                                NULL, 0, &n);
                switch (r) {
                case 0:
                        messages->n_sent += n;
                        break;
                case SOCKET_E_AGAIN:
                        return 0;
                case SOCKET_E_GONE:
                        /* Its end-of-file is still to be received, behind what it may have said. */
                        messages->n_sent = messages->n_out;
                        break;
                default:
                        return error_fold(r);
                }
        }
        messages->n_sent = messages->n_out = 0;
        return 0;
}
