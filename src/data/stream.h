/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream socket of a data connection: frames in, frames out, nothing ever blocks.
 *
 * Received bytes are decoded in place, and more are taken only when all of them are used. At most one chunk waits to
 * be sent; its payload is read straight behind the room for its header, so that both leave with one system call. What
 * is small and must not wait (HELLO, end-of-files, the exit code) is queued behind it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "data/frame.h"

/** A whole chunk at a time, so that chunks of the other side's making line up with our reads. */
#define DATA_STREAM_RECEIVE_MAX (WIRE_HEADER_SIZE + WIRE_DATA_MAX)
/** All control frames that one end ever sends: HELLO (12), two end-of-files (8 each), exit code (12). */
#define DATA_STREAM_CONTROL_MAX 40
#define DATA_STREAM_SEND_MAX    (WIRE_HEADER_SIZE + WIRE_DATA_MAX + DATA_STREAM_CONTROL_MAX)

enum {
        _DATA_STREAM_E_SUCCESS,
        DATA_STREAM_E_AGAIN, /* nothing there now */
        DATA_STREAM_E_EOF,   /* the peer is gone, and all it sent has been received */
};

typedef struct DataStream {
        int fd;
        FrameDecoder decoder;
        bool broken; /* nothing can be sent any more; what is queued afterwards is dropped */
        bool ended;  /* nothing will be received any more */
        size_t n_received, n_used;
        size_t n_queued, n_sent;
        uint8_t received_data[DATA_STREAM_RECEIVE_MAX];
        uint8_t queued_data[DATA_STREAM_SEND_MAX];
} DataStream;

/** data_stream_new() - take over @fd, a connected stream socket. Return: 0 or a negative error */
int data_stream_new(int fd, DataStream **ret_stream);
/** data_stream_free() - close the connection; accepts NULL. Return: NULL */
DataStream *data_stream_free(DataStream *stream);
DEFINE_CLEANUP(DataStream *, data_stream_free)

/** data_stream_hello() - queue our HELLO, which comes before anything else, and flush. Return: 0 or a negative error */
int data_stream_hello(DataStream *stream);

/** data_stream_wants() - what to poll() for: POLLIN unless received bytes are unused, POLLOUT if something is queued */
short data_stream_wants(const DataStream *stream);

/**
 * data_stream_receive() - take what the socket has, once all that was received before is used
 *
 * Return: 0, DATA_STREAM_E_AGAIN, DATA_STREAM_E_EOF, or a negative error.
 */
int data_stream_receive(DataStream *stream);

/** data_stream_next() - the next event of what was received. Return: 0 or FRAME_E_…, MORE if all is used */
int data_stream_next(DataStream *stream, FrameEvent *ret_event);

/** data_stream_received() - @data of an event as what it is, a part of the stream's own buffer, which may be changed */
static inline uint8_t *data_stream_received(DataStream *stream, const uint8_t *data) {
        return stream->received_data + (data - stream->received_data);
}

/** data_stream_flush() - send what is queued, as far as the socket takes it. Return: 0 or a negative error */
int data_stream_flush(DataStream *stream);

/** data_stream_is_flushed() - is nothing left to send, or nobody to send it to? */
static inline bool data_stream_is_flushed(const DataStream *stream) {
        return stream->n_queued == 0;
}

/**
 * data_stream_space() - room for the payload of the next chunk; only when flushed, and after the peer's HELLO
 * @ret_n_max: the negotiated chunk limit
 */
uint8_t *data_stream_space(DataStream *stream, size_t *ret_n_max);

/** data_stream_commit() - send the @n (at least 1) bytes that were put into that room. Return: 0 or a negative error */
int data_stream_commit(DataStream *stream, WireType type, size_t n);

/** data_stream_end() - queue an end-of-file, and flush. Return: 0 or a negative error */
int data_stream_end(DataStream *stream, WireType type);

/** data_stream_exit() - queue the exit code, and flush. Return: 0 or a negative error */
int data_stream_exit(DataStream *stream, int status);
