/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status stream of a direct call (doc/protocol.md, 7.8): callee to caller only, framed, HELLO first; it carries what
 * the service writes to stderr, and in the end its exit code.
 *
 * Nothing is kept for later: a frame goes as a whole or not at all, since it is far below what a stream socket takes in
 * one piece, and only we write to it. So a caller that does not read costs no memory of ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/header.h"

/** What a caller of version 2 takes, too: nothing has to be negotiated. */
#define DATA_STATUS_CHUNK_MAX WIRE_DATA_MAX_V2

enum {
        _DATA_STATUS_E_SUCCESS,
        DATA_STATUS_E_AGAIN, /* no room: poll() for POLLOUT */
        DATA_STATUS_E_GONE,  /* nobody reads any more */
};

typedef struct DataStatus {
        int fd;       /* our end; owned */
        bool greeted; /* HELLO was sent: it goes with the first message */
} DataStatus;

#define DATA_STATUS_INIT ((DataStatus){ .fd = -1 })

/** data_status_has_room() - would a frame go now? Where nobody reads any more it would, too: that is how one learns it */
bool data_status_has_room(const DataStatus *status);

/** data_status_stderr() - send 1 to DATA_STATUS_CHUNK_MAX bytes. Return: 0, DATA_STATUS_E_…, or a negative error */
int data_status_stderr(DataStatus *status, const void *data, size_t n);

/** data_status_exit() - send the exit code, 0 to 255: the last message. Return: 0, DATA_STATUS_E_…, or a negative error */
int data_status_exit(DataStatus *status, int code);

/** data_status_deinit() - close it; harmless when repeated */
void data_status_deinit(DataStatus *status);
