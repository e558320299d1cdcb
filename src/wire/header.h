/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of every message, and the protocol's numbers (protocol specification, 2.2, 2.3, 2.5, 2.6).
 *
 *   offset 0  u32  type
 *   offset 4  u32  length of the payload that follows
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum WireType {
        /* data connections */
        WIRE_TYPE_DATA_STDIN = 0x190,
        WIRE_TYPE_DATA_STDOUT = 0x191,
        WIRE_TYPE_DATA_STDERR = 0x192,
        WIRE_TYPE_DATA_EXIT_CODE = 0x193,
        /* links, daemon sockets, trigger sockets */
        WIRE_TYPE_EXEC_CMDLINE = 0x200,
        WIRE_TYPE_JUST_EXEC = 0x201,
        WIRE_TYPE_SERVICE_CONNECT = 0x202,
        WIRE_TYPE_SERVICE_REFUSED = 0x203,
        WIRE_TYPE_TRIGGER_SERVICE2 = 0x210,
        WIRE_TYPE_CONNECTION_TERMINATED = 0x211,
        WIRE_TYPE_TRIGGER_SERVICE3 = 0x212,
        WIRE_TYPE_TRIGGER_SERVICE4 = 0x213,
        WIRE_TYPE_HELLO = 0x300,
        /* local links only (doc/protocol.md) */
        WIRE_TYPE_CALL_ENDED = 0x400,
        WIRE_TYPE_CALL_KILL = 0x401,
        WIRE_TYPE_CALL_LIST = 0x402,
        WIRE_TYPE_CALL_DRAIN = 0x403,
} WireType;

#define WIRE_HEADER_SIZE 8

/** What we announce on links and data connections; the effective version is the smaller of both. */
#define WIRE_VERSION 4
/** What we announce on daemon sockets. */
#define WIRE_VERSION_DAEMON 3
#define WIRE_VERSION_MIN    2

/** Largest payload of a data message, by effective version. */
#define WIRE_DATA_MAX_V2 4096
#define WIRE_DATA_MAX    65536

/** Largest payload on a link: EXEC_CMDLINE with the longest command. */
#define WIRE_LINK_PAYLOAD_MAX 65543

/*
 * connect_domain of a message that starts one end of a data connection says how that end gets its data. Domain ids
 * of real domains are far below these. connect_port is then the call's id.
 */
#define WIRE_DOMAIN_REFUSED UINT32_C(0x7fff0000) /* reply to a caller only: not at all (wire/reply.h) */
#define WIRE_DOMAIN_FRAMED  UINT32_C(0x7fff0001) /* 1 descriptor: a stream that speaks the data protocol */
#define WIRE_DOMAIN_DIRECT  UINT32_C(0x7fff0003) /* 3 descriptors: status, stdin, stdout */

enum {
        _WIRE_HEADER_E_SUCCESS,
        WIRE_HEADER_E_SHORT, /* fewer than WIRE_HEADER_SIZE bytes */
};

typedef struct WireHeader {
        uint32_t type; /* a WireType, or whatever the peer sent */
        uint32_t length;
} WireHeader;

/** wire_header_decode() - the first WIRE_HEADER_SIZE of @n bytes. Return: 0 or WIRE_HEADER_E_SHORT */
int wire_header_decode(const uint8_t *untrusted_data, size_t n, WireHeader *ret_header);

/** wire_header_encode() - cannot fail; the length is the caller's to check */
void wire_header_encode(WireHeader header, uint8_t ret_data[static WIRE_HEADER_SIZE]);
