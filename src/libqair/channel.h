/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/**
 * A caller's ends of a call, as the broker hands them out (doc/protocol.md, 3.4): one framed connection, or a status
 * stream and two pipes.
 */
typedef struct Channel {
        int stream_fd;           /* the framed connection, or the status stream */
        int stdin_fd, stdout_fd; /* the pipes to the service's stdin and from its stdout; -1: framed */
} Channel;

#define CHANNEL_INIT ((Channel){ .stream_fd = -1, .stdin_fd = -1, .stdout_fd = -1 })
