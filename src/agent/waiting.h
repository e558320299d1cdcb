/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that waits for the session (agent/session.h): its order, and what came with it, kept until it can be started.
 */
#pragma once

#include "agent/order.h"
#include "agent/session.h"
#include "base/socket.h"

typedef struct Waiting {
        SessionWaiter waiter;
        Order order; /* its text follows in the same memory */
        int fds[SOCKET_FDS_MAX];
        size_t n_fds;
        char text[];
} Waiting;

/**
 * waiting_new() - keep an order
 * @fds: taken, and -1, on success
 *
 * Return: NULL if there is no memory.
 */
Waiting *waiting_new(const Order *order, int *fds, size_t n_fds);

/** waiting_free() - close what is left; accepts NULL. Return: NULL */
Waiting *waiting_free(Waiting *waiting);
