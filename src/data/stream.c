/* SPDX-License-Identifier: Apache-2.0 */
#include "data/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "wire/hello.h"

static int data_stream_queue(DataStream *stream, WireType type, const uint8_t *payload, size_t n) {
        if (stream->broken)
                return 0;
        if (WIRE_HEADER_SIZE + n > sizeof(stream->queued_data) - stream->n_queued)
                return error_origin(-ENOBUFS);
        wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)n }, stream->queued_data + stream->n_queued);
        if (n > 0)
                memcpy(stream->queued_data + stream->n_queued + WIRE_HEADER_SIZE, payload, n);
        stream->n_queued += WIRE_HEADER_SIZE + n;
        return error_trace(data_stream_flush(stream));
}

int data_stream_new(int fd, DataStream **ret_stream) {
        DataStream *stream;

        /* Large enough for a mapping of its own: pages that a call does not use are never there. */
        stream = calloc(1, sizeof(*stream));
        if (!stream) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        stream->fd = fd;
        stream->decoder = FRAME_DECODER_INIT;
        *ret_stream = stream;
        return 0;
}

DataStream *data_stream_free(DataStream *stream) {
        if (!stream)
                return NULL;
        fd_close(stream->fd);
        free(stream);
        return NULL;
}

int data_stream_hello(DataStream *stream) {
        uint8_t hello_data[HELLO_SIZE];

        hello_encode(&(Hello){ .version = WIRE_VERSION }, hello_data);
        return error_trace(data_stream_queue(stream, WIRE_TYPE_HELLO, hello_data, sizeof(hello_data)));
}

short data_stream_wants(const DataStream *stream) {
        short events = 0;

        if (!stream->ended && stream->n_used == stream->n_received)
                events |= POLLIN;
        if (!data_stream_is_flushed(stream))
                events |= POLLOUT;
        return events;
}

int data_stream_receive(DataStream *stream) {
        size_t n;
        int r;

        if (stream->ended)
                return DATA_STREAM_E_EOF;
        if (stream->n_used < stream->n_received)
                return 0;
        r = socket_receive(stream->fd, stream->received_data, sizeof(stream->received_data), &n, NULL, 0, NULL);
        switch (r) {
        case 0:
                stream->n_received = n;
                stream->n_used = 0;
                return 0;
        case SOCKET_E_AGAIN:
                return DATA_STREAM_E_AGAIN;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                stream->ended = true;
                return DATA_STREAM_E_EOF;
        default:
                return error_fold(r);
        }
}

int data_stream_next(DataStream *stream, FrameEvent *ret_event) {
        size_t n_used;
        int r;

        r = frame_decoder_next(&stream->decoder, stream->received_data + stream->n_used,
                               stream->n_received - stream->n_used, &n_used, ret_event);
        stream->n_used += n_used;
        return r;
}

static void data_stream_break(DataStream *stream) {
        stream->broken = true;
        stream->n_queued = stream->n_sent = 0;
}

int data_stream_flush(DataStream *stream) {
        while (stream->n_sent < stream->n_queued) {
                size_t n;
                int r;

                r = socket_send(stream->fd, stream->queued_data + stream->n_sent, stream->n_queued - stream->n_sent,
                                NULL, 0, &n);
                switch (r) {
                case 0:
                        stream->n_sent += n;
                        break;
                case SOCKET_E_AGAIN:
                        return 0;
                case SOCKET_E_GONE:
                        data_stream_break(stream);
                        return 0;
                default:
                        return error_fold(r);
                }
        }
        stream->n_queued = stream->n_sent = 0;
        return 0;
}

uint8_t *data_stream_space(DataStream *stream, size_t *ret_n_max) {
        *ret_n_max = stream->decoder.n_data_max;
        return stream->queued_data + WIRE_HEADER_SIZE;
}

int data_stream_commit(DataStream *stream, WireType type, size_t n) {
        if (stream->broken)
                return 0;
        if (!data_stream_is_flushed(stream) || n == 0 || n > stream->decoder.n_data_max)
                return error_origin(-EINVAL);
        wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)n }, stream->queued_data);
        stream->n_queued = WIRE_HEADER_SIZE + n;
        return error_trace(data_stream_flush(stream));
}

int data_stream_end(DataStream *stream, WireType type) {
        return error_trace(data_stream_queue(stream, type, NULL, 0));
}

int data_stream_exit(DataStream *stream, int status) {
        uint8_t data[DATA_EXIT_CODE_SIZE];

        data_exit_code_encode(status, data);
        return error_trace(data_stream_queue(stream, WIRE_TYPE_DATA_EXIT_CODE, data, sizeof(data)));
}
