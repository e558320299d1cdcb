/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of a domain that is put to the broker, as any caller's in the domain's place, and its data: what a worker does
 * for a daemon that is a link of the broker's.
 *
 *   the domain's caller ── vchan or vsock, frames ── this process ── pipes of the broker's ── the service
 */
#pragma once

#include <stdint.h>

#include "daemon/settings.h"
#include "wire/trigger.h"

enum {
        _BROKER_CALL_E_SUCCESS,
        BROKER_CALL_E_REFUSED, /* the broker refused */
        BROKER_CALL_E_FAILED,  /* it could not be asked, or the caller not be reached; it has been logged */
};

typedef struct BrokerCall {
        int fds[3]; /* status stream, stdin, stdout; or one stream in frames; owned; -1: none */
} BrokerCall;

#define BROKER_CALL_INIT ((BrokerCall){ { -1, -1, -1 } })

/** broker_call_open() - ask, and wait for the answer without limit. Return: 0 or BROKER_CALL_E_… */
int broker_call_open(const Brokered *brokered, const Trigger *trigger, BrokerCall *ret_call);

/** broker_call_dial() - reach the caller, who listens at @port. Return: 0 or BROKER_CALL_E_FAILED */
int broker_call_dial(const VchanPlace *place, uint32_t source, uint32_t port, int *ret_fd);

/**
 * broker_call_receive() - be given the connection that the caller has dialled
 * @daemon_fd: where our daemon answers a SERVICE_CONNECT in framed mode (doc/protocol.md, 6)
 *
 * Return: 0 or BROKER_CALL_E_FAILED.
 */
int broker_call_receive(int daemon_fd, int *ret_fd);

/**
 * broker_call_run() - carry the call to its end
 * @call:      everything in it is closed, whatever is returned
 * @stream_fd: to the caller; likewise
 *
 * Return: 0 or BROKER_CALL_E_FAILED.
 */
int broker_call_run(BrokerCall *call, int stream_fd);
