/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trigger socket, from the side of who asks: one connection, one request, one answer (protocol specification,
 * 4.1; doc/protocol.md for the answers to QAIR1).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "client/channel.h"
#include "wire/reply.h"

enum {
        _REQUEST_E_SUCCESS,
        REQUEST_E_REFUSED,     /* no; *@ret_reply says why, reason 0: the broker did not say */
        REQUEST_E_UNREACHABLE, /* nobody listens at the socket; it has been logged */
        REQUEST_E_GONE,        /* nobody answers: broker after broker went away; it has been logged */
        REQUEST_E_ANSWER,      /* the answer is none, or none that this program understands; it has been logged */
};

/**
 * request_call() - ask for a call, and wait for the answer without limit
 * @source: whom a relay speaks for; "": itself
 * @ret_reply:   the answer; set for 0 and REQUEST_E_REFUSED
 * @ret_channel: our ends; the caller's to close
 *
 * The connection is closed on return: before the answer, that is what cancels a request. Where a broker goes away before it
 * has read the request, which it leaves unread until the call is about to start, the next one is asked.
 * Return: 0, REQUEST_E_…, or a negative error.
 */
int request_call(const char *socket_path, const char *source, const char *target, const char *service, Reply *ret_reply,
                 Channel *ret_channel);
