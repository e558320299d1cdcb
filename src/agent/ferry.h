/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that carries the data of one call of a local client, between the framed connection to its callee and the three
 * descriptors of direct mode (doc/protocol.md, 7.7): for clients that know no frames. It has the account of the client, and
 * ends with the call, or when the client has closed its status stream.
 */
#pragma once

#include <sys/socket.h>

#include "agent/channel.h"

enum {
        _FERRY_E_SUCCESS,
        FERRY_E_FAILED, /* too little of something; errno says of what */
};

/**
 * ferry_start() - start one, which is nobody's child
 * @stream_fd:      framed, to the callee; it stays the caller's to close
 * @client:         whose account it has; who is not root cannot take another than its own
 * @reterr_errno:   receives why, on FERRY_E_FAILED
 * @ret_channel:    the client's ends: status stream, stdin, stdout
 *
 * Return: 0 or FERRY_E_FAILED.
 */
int ferry_start(int stream_fd, const struct ucred *client, int *reterr_errno, Channel *ret_channel);
