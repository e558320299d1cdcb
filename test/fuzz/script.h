/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input as a script: what the peers of a state machine do, one step after the other. And what came out of it, looked at
 * as whole messages.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "fuzz.h"
#include "wire/header.h"

typedef struct Script {
        const uint8_t *data;
        size_t n, at;
} Script;

static inline bool script_is_over(const Script *script) {
        return script->at == script->n;
}

/** script_byte() - the next byte; 0 at the end */
static inline uint8_t script_byte(Script *script) {
        return script_is_over(script) ? 0 : script->data[script->at++];
}

/** script_bytes() - up to @n bytes. Return: how many there are */
static inline size_t script_bytes(Script *script, size_t n, const uint8_t **ret_data) {
        size_t n_left = script->n - script->at;

        if (n > n_left)
                n = n_left;
        *ret_data = script->data + script->at;
        script->at += n;
        return n;
}

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
