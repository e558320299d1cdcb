/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarder: one process that makes each connection to a socket here a call to the vault, through libqair. The
 * connection to the broker is kept between calls. Nothing that a client or the vault says is looked at.
 */
#pragma once

/** Connections at a time (split-ssh specification, 2.2); further ones wait in the backlog. */
#define FORWARD_CONNECTIONS_MAX 64
/** How long nobody is accepted after descriptors ran out. */
#define FORWARD_PAUSE_USEC UINT64_C(100000)

/**
 * forward_run() - serve until SIGTERM, SIGINT or SIGHUP
 * @listener_fd: of listener_open() or listener_take(); stays the caller's
 * @domain, @service: what is called
 *
 * Only peers of our own user, and root, are served. Return: 0 or a negative error.
 */
int forward_run(int listener_fd, const char *domain, const char *service);
