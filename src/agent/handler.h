/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler: a process that owns one call and carries its data, where the data is framed, or the service is a program whose
 * configuration says direct=no. It is forked from the agent and shares nothing with other calls, so that none of their
 * descriptors can reach its service.
 */
#pragma once

#include "agent/order.h"
#include "agent/service.h"
#include "data/callee.h"

/** After CALL_KILL has sent SIGTERM, a service has this long before SIGKILL. */
#define HANDLER_KILL_SEC 5
/** After SIGKILL, what still holds the streams open (another session's process) has this long. */
#define HANDLER_KILLED_SEC 1

/** What came with the order: 1 descriptor in mode WIRE_DOMAIN_FRAMED, 3 in mode WIRE_DOMAIN_DIRECT; owned. */
typedef struct HandlerChannel {
        int stream_fd;           /* the framed connection, or the status stream */
        int stdin_fd, stdout_fd; /* the pipes from and to the caller; -1: framed */
} HandlerChannel;

/** handler_channel_close() - harmless when repeated */
void handler_channel_close(HandlerChannel *channel);

/**
 * handler_run() - carry a call to its end
 * @order:       ORDER_TYPE_EXEC
 * @channel:     closed on return
 * @service:     what the order asks for, resolved; NULL: resolve it. In mode WIRE_DOMAIN_DIRECT not NULL
 * @ret_outcome: how the service ended, for CALL_ENDED
 *
 * The process must be good for nothing else: signals are taken over, children are waited for. SIGTERM ends the call
 * (CALL_KILL): it kills this process while there is no program yet, or none at all (sockets); later it is passed on
 * to the program's process group, as SIGTERM first and as SIGKILL after HANDLER_KILL_SEC.
 */
void handler_run(const ServiceSettings *settings, const Order *order, HandlerChannel *channel, const Service *service,
                 DataOutcome *ret_outcome);
