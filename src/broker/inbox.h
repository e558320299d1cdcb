/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects one message, header and payload, from a stream that may deliver it in any pieces. The length is checked
 * before room is made for it. Most messages arrive in one piece, and then cost no allocation.
 *
 * The last piece of a message is left in the socket until inbox_take(). A reader that dies before has not read it, of which
 * the kernel tells its peer (ECONNRESET): that one may ask the next reader, and no request is carried out twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/header.h"

typedef struct Watchdog Watchdog;

enum {
        _INBOX_E_SUCCESS,
        INBOX_E_MORE,    /* nothing more to read now, the message is not complete */
        INBOX_E_EOF,     /* the peer closed, before or in the middle of a message */
        INBOX_E_REFUSED, /* type or length are not acceptable here, or bytes follow the message */
};

typedef struct Inbox {
        uint8_t *data; /* what has arrived so far, if it was not the whole message */
        size_t n;      /* how much that is */
        size_t n_data; /* size of @data */
        size_t n_left; /* bytes of a whole message that are still in the socket */
} Inbox;

typedef struct InboxMessage {
        WireHeader header;
        const uint8_t *payload; /* header.length bytes; valid until the scratch memory or the inbox is used again */
} InboxMessage;

/** inbox_deinit() - free what has arrived; harmless on an empty one */
void inbox_deinit(Inbox *inbox);

/** inbox_take() - read what inbox_receive() left of a message; harmless when that is nothing, or has been read */
void inbox_take(Inbox *inbox, int fd, Watchdog *watchdog);

/**
 * inbox_receive() - read what is there
 * @scratch:   @n_scratch bytes to read into, at least as large as any acceptable message; no more are read
 * @may_be:    is a payload of this type and length acceptable? Asked once, when the header is there
 * @watchdog:  may be NULL
 *
 * Return: 0 with the message in @ret_message, INBOX_E_…, or a negative error.
 */
int inbox_receive(Inbox *inbox, int fd, uint8_t *scratch, size_t n_scratch, bool (*may_be)(uint32_t type, size_t n),
                  Watchdog *watchdog, InboxMessage *ret_message);
