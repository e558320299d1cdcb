/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: the process that has one request of the domain decided, and acts on it (protocol specification, 7.6, 7.7). It
 * tells its daemon what comes of it in two ways: an ident that is allowed by SERVICE_CONNECT on the daemon's own socket,
 * and everything else by its exit status.
 */
#pragma once

#include "daemon/settings.h"
#include "wire/trigger.h"

/** What a worker ends with: anything but 0 refuses what has not been connected. */
enum {
        WORKER_STATUS_DONE = 0,
        WORKER_STATUS_FAILED = 125,
        WORKER_STATUS_DENIED = 126,
};

/**
 * worker_start() - fork a process for worker_run()
 * @ret_pidfd: readable when it has ended; the caller's, who waits for it
 *
 * Return: 0 or a negative error, which has been logged.
 */
int worker_start(const DaemonSettings *settings, const Trigger *trigger, int *ret_pidfd);

/**
 * worker_run() - decide, and act
 *
 * In a process that is good for nothing else; its working directory has the daemons' sockets. For a call to the host it
 * does not return, but becomes settings->host_call. Return: WORKER_STATUS_….
 */
int worker_run(const DaemonSettings *settings, const Trigger *trigger);
