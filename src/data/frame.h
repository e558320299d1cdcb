/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving half of the framed data protocol as a pure, incremental decoder: bytes in, in pieces of any size;
 * events out (protocol specification, 2.6 and 5.2). Both ends use it; which types mean something to an end is that
 * end's business.
 *
 * A payload of plain bytes is handed on as it arrives, without waiting for the rest of its frame: chunks have no
 * meaning. So nothing is copied, and nothing is kept but a header or a number in pieces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/data.h"

enum {
        _FRAME_E_SUCCESS,
        FRAME_E_MORE,    /* all bytes were used and the event is not complete */
        FRAME_E_HELLO,   /* the first message is no HELLO */
        FRAME_E_VERSION, /* the peer is too old */
        FRAME_E_LENGTH,  /* a payload above the negotiated limit */
        FRAME_E_TYPE,    /* a type that data connections do not have; its payload has been used up */
};

typedef enum FrameKind {
        FRAME_KIND_HELLO,       /* always the first event, and only there */
        FRAME_KIND_DATA,        /* bytes of a stream */
        FRAME_KIND_END,         /* end-of-file of a stream */
        FRAME_KIND_EXIT_STATUS, /* the end of the call */
} FrameKind;

typedef struct FrameEvent {
        FrameKind kind;
        WireType type;       /* DATA, END: DATA_STDIN, DATA_STDOUT or DATA_STDERR */
        const uint8_t *data; /* DATA: points into the bytes that were given */
        size_t n_data;       /* DATA: at least 1 */
        uint32_t version;    /* HELLO: the effective version */
        int status;          /* EXIT_STATUS: 0 to 255 */
} FrameEvent;

typedef struct FrameDecoder {
        size_t n_data_max; /* 0: HELLO has not come yet */
        uint8_t header_data[WIRE_HEADER_SIZE];
        size_t n_header; /* bytes of the header that are there */
        WireHeader header;
        size_t n_left;                            /* bytes of the payload still to come */
        uint8_t number_data[DATA_EXIT_CODE_SIZE]; /* HELLO and DATA_EXIT_CODE: the payload's first bytes */
        size_t n_number;
        int error; /* after an error every call repeats it: the stream cannot go on */
} FrameDecoder;

#define FRAME_DECODER_INIT ((FrameDecoder){ .n_data_max = 0 })

/** frame_error_text() - words for a FRAME_E_… code, such as "a chunk above the limit" */
const char *frame_error_text(int r);

/**
 * frame_decoder_next() - decode the next event
 * @n_used: how many of the @n bytes were used; set whatever is returned. The caller drops them and comes again
 *
 * Return: 0, or FRAME_E_….
 */
int frame_decoder_next(FrameDecoder *decoder, const uint8_t *untrusted_data, size_t n, size_t *n_used,
                       FrameEvent *ret_event);
