/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/watchdog.h"

/* What is dropped at a time: most requests at once, without a large buffer for the others. */
#define INBOX_DROP_SIZE 4096

void inbox_deinit(Inbox *inbox) {
        free(inbox->data);
        *inbox = (Inbox){};
}

/* Keep the beginning of a message whose length was found acceptable, or of a header. */
static int inbox_keep(Inbox *inbox, const uint8_t *data, size_t n, size_t n_whole) {
        if (inbox->n_data < n_whole) {
                uint8_t *larger = realloc(inbox->data, n_whole);

                if (!larger)
                        return error_origin(-ENOMEM);
                inbox->data = larger;
                inbox->n_data = n_whole;
        }
        if (data != inbox->data)
                memcpy(inbox->data, data, n);
        inbox->n = n;
        return 0;
}

/* Look at what is there, and leave it. Return: 0, INBOX_E_MORE, INBOX_E_EOF, or a negative error. */
static int inbox_peek(int fd, uint8_t *data, size_t n_max, size_t *ret_n) {
        ssize_t n;

        do
                n = recv(fd, data, n_max, MSG_PEEK | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                switch (errno) {
                case EAGAIN:
                        return INBOX_E_MORE;
                case ECONNRESET:
                        return INBOX_E_EOF;
                default:
                        return error_origin(-errno);
                }
        }
        *ret_n = (size_t)n;
        return n == 0 ? INBOX_E_EOF : 0;
}

/*
 * Read @n bytes that were looked at. Descriptors that came with them are dropped here, and that is what the watchdog
 * guards. Return: false if it barked.
 */
static bool inbox_drop(int fd, size_t n, Watchdog *watchdog) {
        uint8_t data[INBOX_DROP_SIZE];

        watchdog_arm(watchdog);
        while (n > 0) {
                ssize_t r = recv(fd, data, n < sizeof(data) ? n : sizeof(data), MSG_DONTWAIT);

                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        break;
                n -= (size_t)r;
        }
        return !watchdog_disarm(watchdog);
}

void inbox_take(Inbox *inbox, int fd, Watchdog *watchdog) {
        if (inbox->n_left > 0)
                (void)inbox_drop(fd, inbox->n_left, watchdog);
        inbox->n_left = 0;
}

int inbox_receive(Inbox *inbox, int fd, uint8_t *scratch, size_t n_scratch, bool (*may_be)(uint32_t type, size_t n),
                  Watchdog *watchdog, InboxMessage *ret_message) {
        size_t n = inbox->n, n_got, n_whole = WIRE_HEADER_SIZE;
        WireHeader header;
        int r;

        if (n > 0)
                memcpy(scratch, inbox->data, n);
        r = inbox_peek(fd, scratch + n, n_scratch - n, &n_got);
        if (r)
                return r;
        n += n_got;

        if (wire_header_decode(scratch, n, &header) == 0) {
                bool is_refused = !may_be(header.type, header.length) || header.length > n_scratch - WIRE_HEADER_SIZE;

                n_whole += header.length;
                if (is_refused || n > n_whole) {
                        /* Read, so that the peer sees an end: what it sent is no better for anybody else. */
                        (void)inbox_drop(fd, n_got, watchdog);
                        return INBOX_E_REFUSED;
                }
                if (n == n_whole) {
                        *ret_message = (InboxMessage){ .header = header, .payload = scratch + WIRE_HEADER_SIZE };
                        inbox_deinit(inbox);
                        inbox->n_left = n_got;
                        return 0;
                }
        }
        r = inbox_keep(inbox, scratch, n, n_whole);
        if (r)
                return error_trace(r);
        return inbox_drop(fd, n_got, watchdog) ? INBOX_E_MORE : INBOX_E_REFUSED;
}
