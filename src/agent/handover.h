/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are given to a fork server: a process of the same account, inside a session of its own, that starts programs
 * there (qrexec-fork-server(1); protocol specification, 6.10; doc/protocol.md, 11). The agent hands over the command and the
 * descriptors of the call, and is told how it ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/order.h"
#include "agent/service.h"
#include "wire/forkserver.h"

enum {
        _HANDOVER_E_SUCCESS,
        HANDOVER_E_ABSENT, /* nobody there that could be used: do it yourself */
        HANDOVER_E_AGAIN,  /* no answer yet */
        HANDOVER_E_CLOSED, /* there will be none */
};

typedef struct Handover {
        const char *path; /* of the server's socket, not owned; NULL: there is to be none */
        int spare_fd;     /* a socket that was not connected yet: to find nobody costs one system call */
} Handover;

#define HANDOVER_INIT ((Handover){ .spare_fd = -1 })

/** handover_init() - @path: must fit sun_path; NULL: handover_connect() finds nobody. Return: 0 or a negative error */
int handover_init(Handover *handover, const char *path);

/** handover_deinit() - harmless on HANDOVER_INIT, and when repeated */
void handover_deinit(Handover *handover);

/** handover_is_for() - is it a service that a fork server may run? (6.10) */
bool handover_is_for(const Service *service);

/**
 * handover_connect() - find the server of our own account
 * @ret_fd: the connection of one call; non-blocking, close-on-exec; the caller's
 *
 * Somebody else's server is refused, and logged. Return: 0 or HANDOVER_E_ABSENT.
 */
int handover_connect(Handover *handover, int *ret_fd);

/**
 * handover_send() - hand over a call
 * @service: what @order asks for, resolved
 * @fds:     what came with the order; they stay the caller's. None: the server dials @order's domain and port, as upstream's
 *
 * Return: 0, or HANDOVER_E_ABSENT: the server has not got it.
 */
int handover_send(int fd, const Order *order, const Service *service, const int *fds, size_t n_fds);

/** handover_kill() - CALL_KILL; a server that is not there any more is no error */
void handover_kill(int fd, uint32_t call_id);

/** handover_receive() - when the connection is readable. Return: 0, HANDOVER_E_AGAIN or HANDOVER_E_CLOSED */
int handover_receive(int fd, ForkserverAnswer *ret_answer);
