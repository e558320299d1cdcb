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

#define TRANSCRIPT_MAX (256U * 1024U)

/** Bytes as they went through a socket. */
typedef struct Transcript {
        uint8_t data[TRANSCRIPT_MAX];
        size_t n;
} Transcript;

/** transcript_send() - send what goes without waiting, and note it. Return: was it all? */
static inline bool transcript_send(Transcript *transcript, int fd, const void *data, size_t n) {
        ssize_t n_sent;

        if (fd < 0 || n > sizeof(transcript->data) - transcript->n)
                return false;
        n_sent = n > 0 ? send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        if (n_sent <= 0)
                return n == 0;
        memcpy(transcript->data + transcript->n, data, (size_t)n_sent);
        transcript->n += (size_t)n_sent;
        return (size_t)n_sent == n;
}

/** transcript_receive() - take up to @n_max bytes that are there. Return: false: the end, or an error, came */
static inline bool transcript_receive(Transcript *transcript, int fd, size_t n_max) {
        size_t n_left = sizeof(transcript->data) - transcript->n;
        ssize_t n;

        if (fd < 0)
                return false;
        n = recv(fd, transcript->data + transcript->n, n_max < n_left ? n_max : n_left, MSG_DONTWAIT);
        if (n > 0)
                transcript->n += (size_t)n;
        return n > 0 || (n < 0 && errno == EAGAIN);
}

/** transcript_is_prefix() - is what @transcript has the beginning of @data? */
static inline bool transcript_is_prefix(const Transcript *transcript, const uint8_t *data, size_t n) {
        return transcript->n <= n && memcmp(transcript->data, data, transcript->n) == 0;
}

/** transcript_next() - the next whole message at *@at. Return: false: there is none */
static inline bool transcript_next(const Transcript *transcript, size_t *at, WireHeader *ret_header,
                                   const uint8_t **ret_payload) {
        if (wire_header_decode(transcript->data + *at, transcript->n - *at, ret_header) ||
            transcript->n - *at - WIRE_HEADER_SIZE < ret_header->length)
                return false;
        *ret_payload = transcript->data + *at + WIRE_HEADER_SIZE;
        *at += WIRE_HEADER_SIZE + ret_header->length;
        return true;
}

typedef struct Peer {
        int fd; /* -1: it is not there */
        Transcript sent, received;
} Peer;

/** peer_say() - what goes without waiting. Return: was it all? */
static inline bool peer_say(Peer *peer, const void *data, size_t n) {
        return transcript_send(&peer->sent, peer->fd, data, n);
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
        (void)transcript_receive(&peer->received, peer->fd, n_max);
}

/** peer_leave() - hang up; what was said is forgotten. It is heard to its end before, and judged by @check, if it is there */
static inline void peer_leave(Peer *peer, void (*check)(void *userdata, const Peer *peer), void *userdata) {
        if (peer->fd >= 0) {
                peer_hear(peer, TRANSCRIPT_MAX);
                check(userdata, peer);
        }
        peer->fd = fd_close(peer->fd);
        peer->sent.n = peer->received.n = 0;
}
