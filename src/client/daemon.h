/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain's daemon socket, from the side of who asks (protocol specification, 4.2). Ours hands out the stream itself
 * (doc/protocol.md).
 */
#pragma once

#include <stdint.h>

#include "libqair/channel.h"
#include "wire/exec.h"
#include "wire/header.h"

enum {
        _DAEMON_E_SUCCESS,
        DAEMON_E_FAILED, /* not there, refused, or not understood; it has been logged */
};

/**
 * daemon_call() - have a command run in a domain
 * @type:    WIRE_TYPE_EXEC_CMDLINE or WIRE_TYPE_JUST_EXEC
 * @command: USER ":" and what to run, at most DAEMON_COMMAND_MAX bytes
 * @ret_daemon_fd: the connection to the daemon; to be closed when the call is over
 * @ret_channel:   our ends: pipes, or one framed connection for JUST_EXEC
 *
 * All descriptors are the caller's to close. Waits for the answer without limit.
 * Return: 0, DAEMON_E_FAILED, or a negative error.
 */
int daemon_call(const char *socket_path, WireType type, const char *command, int *ret_daemon_fd, Channel *ret_channel);

/**
 * daemon_call_dialled() - the same in dial mode, as upstream's daemons have it
 * @ret_params: which domain will dial us, at which port (client/dialled.h)
 */
int daemon_call_dialled(const char *socket_path, WireType type, const char *command, int *ret_daemon_fd,
                        ExecParams *ret_params);

/** Longest command a client can send: the message's payload has at most 65 535 bytes (2.5). */
#define DAEMON_COMMAND_MAX (65535 - 8 - 1)
