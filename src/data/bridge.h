/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The callee's end of a direct call where the service has no pipes: a program whose configuration says direct=no
 * (doc/protocol.md, 7.7). A process that has nothing else to do stands in between, and keeps the rules of a framed
 * connection (protocol specification, 5.3, 5.7, 5.8): the service's ends are shut down for it, SIGUSR1 is honoured, and
 * what nobody takes any more is read and dropped.
 *
 *   RUNNING -- all ends closed, child exited --> FINISHING -- the exit code is sent --> (done)
 *      `------------- the status stream's reader is gone ----> ORPHANED -- child exited --> (done)
 */
#pragma once

#include "data/callee.h"

/**
 * data_bridge_run() - run a call to its end
 * @callee:    a program as for data_callee_run(), but that stream_fd is the status stream. What is for sockets (prefix,
 *             exit_on_…) does not count. The descriptors of the service must be nobody else's: O_NONBLOCK is set on them
 * @stdin_fd:  readable: the pipe from the caller; owned, closed on return
 * @stdout_fd: writable: the pipe to it; owned, closed on return
 *
 * Return: 0 or a negative error.
 */
int data_bridge_run(DataCallee *callee, int stdin_fd, int stdout_fd, DataOutcome *ret_outcome);
