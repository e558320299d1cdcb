/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/socket.h"
#include "broker/watchdog.h"

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

int inbox_receive(Inbox *inbox, int fd, uint8_t *scratch, size_t n_scratch, bool (*may_be)(uint32_t type, size_t n),
                  Watchdog *watchdog, InboxMessage *ret_message) {
        size_t n = inbox->n, n_got, n_whole = WIRE_HEADER_SIZE;
        WireHeader header;
        int r;

        if (n > 0)
                memcpy(scratch, inbox->data, n);
        watchdog_arm(watchdog);
        r = socket_receive(fd, scratch + n, n_scratch - n, &n_got, NULL, 0, NULL);
        if (watchdog_disarm(watchdog))
                return INBOX_E_REFUSED;
        switch (r) {
        case 0:
                n += n_got;
                break;
        case SOCKET_E_AGAIN:
                return INBOX_E_MORE;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                return INBOX_E_EOF;
        default:
                return error_fold(r);
        }

        if (wire_header_decode(scratch, n, &header) == 0) {
                if (!may_be(header.type, header.length) || header.length > n_scratch - WIRE_HEADER_SIZE)
                        return INBOX_E_REFUSED;
                n_whole += header.length;
                if (n > n_whole)
                        return INBOX_E_REFUSED;
                if (n == n_whole) {
                        *ret_message = (InboxMessage){ .header = header, .payload = scratch + WIRE_HEADER_SIZE };
                        inbox_deinit(inbox);
                        return 0;
                }
        }
        r = inbox_keep(inbox, scratch, n, n_whole);
        return r ? error_trace(r) : INBOX_E_MORE;
}
