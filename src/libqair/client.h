/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the broker: where it is, and one connection that waits for the next request (doc/protocol.md, 4.2).
 */
#pragma once

#include <stdbool.h>

#include "libqair/qair.h"

struct qair_client {
        char *path;
        char *source; /* NULL: ourselves */
        unsigned flags;
        int fd; /* has been answered, and nothing is asked on it; -1: none */
};

/** client_ident() - what our requests say of us (wire/refusal.h) */
const char *client_ident(const qair_client *client);

/** client_connect() - a new connection; the caller's. Return: 0, or a negative errno */
int client_connect(const qair_client *client, int *ret_fd);

/** client_take() - the connection that waits, now the caller's; -1: none */
int client_take(qair_client *client);

/** client_give() - take over a connection on which the answer has come; closed if it is of no use */
void client_give(qair_client *client, int fd);
