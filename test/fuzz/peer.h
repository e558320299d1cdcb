/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever is at the other end of a stream that a state machine has; and what went through it, looked at as whole messages.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "script.h"
#include "wire/header.h"
#include "wire/hello.h"
#include "wire/hello.h"

#define RECORD_MAX (256U * 1024U)

/** Bytes as they went through a socket. */
typedef struct Record {
        uint8_t data[RECORD_MAX];
        size_t n;
} Record;

/** record_send() - send what goes without waiting, and note it. Return: was it all? */
static inline bool record_send(Record *record, int fd, const void *data, size_t n) {
        ssize_t n_sent;

        if (fd < 0 || n > sizeof(record->data) - record->n)
                return false;
        n_sent = n > 0 ? send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        if (n_sent <= 0)
                return n == 0;
        memcpy(record->data + record->n, data, (size_t)n_sent);
        record->n += (size_t)n_sent;
        return (size_t)n_sent == n;
}

/** record_receive() - take up to @n_max bytes that are there. Return: false: the end, or an error, came */
static inline bool record_receive(Record *record, int fd, size_t n_max) {
        size_t n_left = sizeof(record->data) - record->n;
        ssize_t n;

        if (fd < 0)
                return false;
        n = recv(fd, record->data + record->n, n_max < n_left ? n_max : n_left, MSG_DONTWAIT);
        if (n > 0)
                record->n += (size_t)n;
        return n > 0 || (n < 0 && errno == EAGAIN);
}

/** record_is_prefix() - is what @record has the beginning of @data? */
static inline bool record_is_prefix(const Record *record, const uint8_t *data, size_t n) {
        return record->n <= n && memcmp(record->data, data, record->n) == 0;
}

/** record_next() - the next whole message at *@at. Return: false: there is none */
static inline bool record_next(const Record *record, size_t *at, WireHeader *ret_header, const uint8_t **ret_payload) {
        if (wire_header_decode(record->data + *at, record->n - *at, ret_header) ||
            record->n - *at - WIRE_HEADER_SIZE < ret_header->length)
                return false;
        *ret_payload = record->data + *at + WIRE_HEADER_SIZE;
        *at += WIRE_HEADER_SIZE + ret_header->length;
        return true;
}

typedef struct Peer {
        int fd; /* -1: it is not there */
        Record sent, received;
} Peer;

/** peer_say() - what goes without waiting. Return: was it all? */
static inline bool peer_say(Peer *peer, const void *data, size_t n) {
        return record_send(&peer->sent, peer->fd, data, n);
}

/** peer_say_hello() - a HELLO, with this version in it */
static inline void peer_say_hello(Peer *peer, uint32_t version) {
        uint8_t message[WIRE_HEADER_SIZE + HELLO_SIZE];

        wire_header_encode((WireHeader){ WIRE_TYPE_HELLO, HELLO_SIZE }, message);
        hello_encode(&(Hello){ .version = version }, message + WIRE_HEADER_SIZE);
        (void)peer_say(peer, message, sizeof(message));
}

/** peer_say_script() - the next bytes of the script, up to @n of them */
static inline void peer_say_script(Peer *peer, Script *script, size_t n) {
        const uint8_t *data;

        n = script_bytes(script, n, &data);
        (void)peer_say(peer, data, n);
}

/** peer_hear() - up to @n_max bytes that are there */
static inline void peer_hear(Peer *peer, size_t n_max) {
        (void)record_receive(&peer->received, peer->fd, n_max);
}

/** peer_leave() - hang up; what was said is forgotten. It is heard to its end before, and judged by @check, if it is there */
static inline void peer_leave(Peer *peer, void (*check)(void *userdata, const Peer *peer), void *userdata) {
        if (peer->fd >= 0) {
                peer_hear(peer, RECORD_MAX);
                check(userdata, peer);
        }
        peer->fd = fd_close(peer->fd);
        peer->sent.n = peer->received.n = 0;
}
