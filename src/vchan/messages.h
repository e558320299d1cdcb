/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream socket that carries whole messages (protocol specification, 2.2), for an event loop: control connections, and
 * the connections of daemon sockets. Nothing blocks.
 *
 * Incoming messages are handed out one by one; their headers are judged before a byte of the payload is waited for, so
 * nobody makes us hold more than the largest message. What goes out and finds no room waits; whoever sends to one who
 * does not read should take nothing more from it, or what waits has no bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/header.h"

enum {
        _MESSAGES_E_SUCCESS,
        MESSAGES_E_AGAIN,   /* nothing there now, or not all of it */
        MESSAGES_E_END,     /* the peer went away, between two messages */
        MESSAGES_E_BROKEN,  /* it went away in one */
        MESSAGES_E_REFUSED, /* the check did not let the header through */
};

typedef struct Messages {
        int fd; /* owned */
        size_t n_in, n_used, n_in_max;
        uint8_t *in;
        uint8_t *out;
        size_t n_out, n_sent, n_out_max;
} Messages;

#define MESSAGES_INIT ((Messages){ .fd = -1 })

/**
 * messages_open() - take over a socket
 * @messages:      MESSAGES_INIT
 * @n_payload_max: of the largest message; no check may let a longer one through
 *
 * The descriptor is taken whatever is returned. Return: 0 or a negative error.
 */
int messages_open(Messages *messages, int fd, size_t n_payload_max);

/** messages_close() - close the socket, forget what waits; harmless when repeated */
void messages_close(Messages *messages);

/** messages_is_flushed() - does nothing wait to be sent? Otherwise poll for room */
static inline bool messages_is_flushed(const Messages *messages) {
        return messages->n_out == 0;
}

/** messages_waiting() - bytes that the peer has not taken */
static inline size_t messages_waiting(const Messages *messages) {
        return messages->n_out - messages->n_sent;
}

/** MessagesCheck - may a message with this header come now? Complaining is the check's to do */
typedef bool MessagesCheck(const void *userdata, WireHeader header);

/**
 * messages_receive() - the next message
 * @ret_header, @ret_payload: set for 0; header.length bytes, valid until the next call; may be changed
 *
 * Return: 0, MESSAGES_E_…, or a negative error.
 */
int messages_receive(Messages *messages, MessagesCheck *check, const void *userdata, WireHeader *ret_header,
                     uint8_t **ret_payload);

/**
 * messages_is_pending() - has a whole message been received that was not handed out? No event will tell of it
 */
bool messages_is_pending(const Messages *messages);

/**
 * messages_send() - send a whole message, or several, now or as soon as there is room
 *
 * A peer that is gone is learned of by messages_receive(). Return: 0 or a negative error.
 */
int messages_send(Messages *messages, const void *data, size_t n);

/** messages_send_hello() - send HELLO with this version. Return: 0 or a negative error */
int messages_send_hello(Messages *messages, uint32_t version);

/** messages_flush() - send what waits, as far as there is room. Return: 0 or a negative error */
int messages_flush(Messages *messages);
