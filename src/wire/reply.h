/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to a trigger, without header (protocol specification, 4.1; doc/protocol.md for what is ours).
 *
 *   offset 0  u32  connect_domain   how the caller gets its data (wire/header.h)
 *   offset 4  u32  connect_port     a port, or the call's id
 *   offset 8  u32  reason           only if connect_domain is WIRE_DOMAIN_REFUSED
 *
 * A caller that announced itself as SOCKET is never sent a refusal: its connection is closed (upstream's way).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define REPLY_SIZE         8
#define REPLY_REFUSED_SIZE 12

/**
 * All that a refused caller is told. The words are the same whether a target exists or not, so that nobody can map
 * the host; the whole truth is in the audit log, under the call's id.
 */
typedef enum ReplyReason {
        REPLY_REASON_REFUSED = 1,        /* no */
        REPLY_REASON_NOT_A_DOMAIN = 2,   /* your account is not declared as a domain */
        REPLY_REASON_TOO_MANY = 3,       /* too many calls of yours are open */
        REPLY_REASON_UNAVAILABLE = 4,    /* allowed, but it could not be started */
        REPLY_REASON_NOT_UNDERSTOOD = 5, /* your request was not well formed */
} ReplyReason;

enum {
        _REPLY_E_SUCCESS,
        REPLY_E_MORE,      /* @n bytes are a good beginning, more must come */
        REPLY_E_MALFORMED, /* no reply that a broker of ours would send */
};

typedef struct Reply {
        uint32_t connect_domain;
        uint32_t connect_port; /* the call's id, 0: the request never became a call */
        ReplyReason reason;    /* only if refused */
} Reply;

/** reply_decode() - Return: 0, REPLY_E_MORE or REPLY_E_MALFORMED */
int reply_decode(const uint8_t *untrusted_data, size_t n, Reply *ret_reply);

/** reply_encode() - Return: bytes written, REPLY_SIZE or REPLY_REFUSED_SIZE */
size_t reply_encode(const Reply *reply, uint8_t ret_data[static REPLY_REFUSED_SIZE]);

/** reply_reason_text() - the few words for a person */
const char *reply_reason_text(ReplyReason reason);
