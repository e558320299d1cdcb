/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to and from an OpenSSH client that shares its connection (OpenSSH, PROTOCOL.mux, version 4): pure functions
 * over bytes. With them a call costs a connection to a local socket, where starting ssh(1) for each would cost a
 * process and its configuration; and the end of a session that ended is told from that of a connection that was lost.
 *
 *   us to the master      HELLO, NEW_SESSION, then three messages of one byte with a descriptor each: stdin, stdout, stderr
 *   the master to us      HELLO, SESSION_OPENED or FAILURE or PERMISSION_DENIED, EXIT_MESSAGE, end-of-file
 *
 * A packet is a u32 length and that many bytes, a u32 type first; all big-endian.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define MUX_VERSION     4
#define MUX_LENGTH_SIZE 4
/** Largest packet that we take: its texts are a line long. */
#define MUX_PACKET_MAX 4096
/** Bytes of a NEW_SESSION besides its command; HELLO has fewer. */
#define MUX_OVERHEAD 64
/** Longest reason that is kept. */
#define MUX_REASON_MAX 255

typedef enum MuxType {
        MUX_TYPE_HELLO = 0x00000001,
        MUX_TYPE_NEW_SESSION = 0x10000002,
        MUX_TYPE_OK = 0x80000001,
        MUX_TYPE_PERMISSION_DENIED = 0x80000002,
        MUX_TYPE_FAILURE = 0x80000003,
        MUX_TYPE_EXIT_MESSAGE = 0x80000004,
        MUX_TYPE_ALIVE = 0x80000005,
        MUX_TYPE_SESSION_OPENED = 0x80000006,
        MUX_TYPE_TTY_ALLOC_FAIL = 0x80000008,
} MuxType;

typedef struct MuxReply {
        MuxType type;
        uint32_t version;                /* HELLO */
        uint32_t request;                /* SESSION_OPENED, FAILURE, PERMISSION_DENIED */
        uint32_t session;                /* SESSION_OPENED, EXIT_MESSAGE */
        uint32_t status;                 /* EXIT_MESSAGE */
        char reason[MUX_REASON_MAX + 1]; /* FAILURE, PERMISSION_DENIED: untrusted text, cut */
} MuxReply;

enum {
        _MUX_E_SUCCESS,
        MUX_E_MALFORMED,
};

/** mux_reply_decode() - a packet without its length. Types that we do not wait for have no fields. Return: 0 or MUX_E_… */
int mux_reply_decode(const uint8_t *untrusted_data, size_t n, MuxReply *ret_reply);

/** mux_length_decode() - how long the packet is. Return: 0, or MUX_E_MALFORMED: longer than MUX_PACKET_MAX */
int mux_length_decode(const uint8_t untrusted_data[static MUX_LENGTH_SIZE], size_t *ret_n);

/** mux_hello_encode() - with its length. Return: its size, at most MUX_OVERHEAD */
size_t mux_hello_encode(uint8_t ret_data[static MUX_OVERHEAD]);

/**
 * mux_new_session_encode() - with its length: no terminal, no forwarding, no environment
 * @ret_data: room for MUX_OVERHEAD + @n_command bytes
 *
 * Return: its size.
 */
size_t mux_new_session_encode(uint32_t request, const char *command, size_t n_command, uint8_t *ret_data);
