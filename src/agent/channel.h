/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came with the order of a direct call (doc/protocol.md, 7.7): the callee's ends. They are owned by whoever has them.
 */
#pragma once

typedef struct Channel {
        int status_fd; /* the status stream */
        int stdin_fd;  /* readable: the pipe from the caller */
        int stdout_fd; /* writable: the pipe to it */
} Channel;

#define CHANNEL_INIT ((Channel){ -1, -1, -1 })

/** channel_close() - harmless when repeated */
void channel_close(Channel *channel);

/** channel_refuse() - tell the caller that nothing runs: the exit code alone; the channel is closed */
void channel_refuse(Channel *channel, int status);
