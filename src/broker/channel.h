/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel of a call, made by the broker for both sides and kept by it no longer than it takes to hand it out.
 *
 *   framed   a pair of stream sockets
 *   direct   a status stream from callee to caller, and two pipes
 *
 * All of it is the broker's making, so no descriptor of a domain's choosing reaches another domain; and each end is an
 * open file description of its own, so nobody can set flags on the other's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/socket.h"

enum {
        _CHANNEL_E_SUCCESS,
        CHANNEL_E_LIMIT, /* descriptors or memory ran out: refuse this call */
};

typedef struct Channel {
        size_t n_fds; /* for each side; 0: there is no channel */
        int agent_fds[SOCKET_FDS_MAX], origin_fds[SOCKET_FDS_MAX];
} Channel;

/**
 * channel_open() - make one
 * @channel: empty; on failure it stays so
 * @mode:    WIRE_DOMAIN_FRAMED or WIRE_DOMAIN_DIRECT
 *
 * Return: 0, CHANNEL_E_LIMIT, or a negative error.
 */
int channel_open(Channel *channel, uint32_t mode);

/** channel_close() - close all ends; harmless when repeated */
void channel_close(Channel *channel);
