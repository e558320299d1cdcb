/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames behind the request header (split-gpg specification, 6.3):
 *
 *   0  4    index, signed, little-endian: which descriptor; negative: -(exit status + 1)
 *   4  4    len: 1 to 4096 bytes of data; 0: the descriptor's end
 *   8  len  data
 *
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GPG_FRAME_HEADER_SIZE 8
#define GPG_FRAME_DATA_MAX    4096

typedef enum GpgFrameEventKind {
        GPG_FRAME_EVENT_NONE, /* all bytes are used, and there is nothing to do yet */
        GPG_FRAME_EVENT_DATA,
        GPG_FRAME_EVENT_END,  /* of one descriptor */
        GPG_FRAME_EVENT_EXIT, /* of GnuPG */
} GpgFrameEventKind;

typedef struct GpgFrameEvent {
        GpgFrameEventKind kind;
        size_t index;        /* DATA, END */
        const uint8_t *data; /* DATA: into the bytes that were given, @n of them; perhaps not all of the frame */
        size_t n;
        uint8_t status; /* EXIT */
} GpgFrameEvent;

/** Takes the bytes as they come: a peer may send them one by one. */
typedef struct GpgFrameDecoder {
        size_t n_indexes; /* how many descriptors there are */
        bool may_exit;    /* else an exit frame is an error */
        uint8_t header[GPG_FRAME_HEADER_SIZE];
        size_t n_header; /* of it, are there */
        size_t n_data;   /* of the frame that began, are still to come */
} GpgFrameDecoder;

enum {
        _GPG_FRAME_E_SUCCESS,
        GPG_FRAME_E_LENGTH, /* longer than GPG_FRAME_DATA_MAX */
        GPG_FRAME_E_INDEX,  /* no such descriptor, or an exit frame where none may come */
};

/**
 * gpg_frame_decode() - the next thing that the peer says
 * @untrusted_data: @n bytes
 * @ret_used:       how many of them are done with; call it again with the rest, until the event is NONE
 *
 * Return: 0 or GPG_FRAME_E_…, after which the stream has lost its meaning.
 */
int gpg_frame_decode(GpgFrameDecoder *decoder, const uint8_t *untrusted_data, size_t n, size_t *ret_used,
                     GpgFrameEvent *ret_event);

/** gpg_frame_is_between() - is this the end of a frame? The stream may end here */
static inline bool gpg_frame_is_between(const GpgFrameDecoder *decoder) {
        return decoder->n_header == 0 && decoder->n_data == 0;
}

/** gpg_frame_encode_header() - of data, or (@n 0) of an end */
void gpg_frame_encode_header(size_t index, size_t n, uint8_t ret_header[static GPG_FRAME_HEADER_SIZE]);

/** gpg_frame_encode_exit() - the last one */
void gpg_frame_encode_exit(uint8_t status, uint8_t ret_header[static GPG_FRAME_HEADER_SIZE]);
