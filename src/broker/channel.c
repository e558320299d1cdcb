/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "wire/header.h"

/* A service may open /dev/stdin and /dev/stdout once more, and it is not the account that made the pipe. */
#define CHANNEL_PIPE_MODE 0666

enum {
        CHANNEL_STATUS,
        CHANNEL_STDIN,
        CHANNEL_STDOUT,
};

void channel_close(Channel *channel) {
        int fds[2 * SOCKET_FDS_MAX];

        for (size_t i = 0; i < channel->n_fds; ++i) {
                fds[2 * i] = channel->agent_fds[i];
                fds[2 * i + 1] = channel->origin_fds[i];
        }
        fd_close_all(fds, 2 * channel->n_fds);
        channel->n_fds = 0;
}

static void channel_add(Channel *channel, int agent_fd, int origin_fd) {
        channel->agent_fds[channel->n_fds] = agent_fd;
        channel->origin_fds[channel->n_fds] = origin_fd;
        ++channel->n_fds;
}

static int channel_add_stream(Channel *channel) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        channel_add(channel, fds[0], fds[1]);
        return 0;
}

static int channel_add_pipe(Channel *channel, bool to_agent) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        if (to_agent)
                channel_add(channel, fds[0], fds[1]);
        else
                channel_add(channel, fds[1], fds[0]);
        /* One inode for both ends. */
        return fchmod(fds[0], CHANNEL_PIPE_MODE) < 0 ? -errno : 0;
}

/*
 * The status stream is one way, and the kernel sees to it: whatever a caller sent there, a descriptor whose last close
 * blocks for instance, would wait in the agent's socket until the agent has to close it.
 */
static int channel_add_status(Channel *channel) {
        int r;

        r = channel_add_stream(channel);
        if (r)
                return r;
        return shutdown(channel->agent_fds[CHANNEL_STATUS], SHUT_RD) < 0 ? -errno : 0;
}

int channel_open(Channel *channel, uint32_t mode) {
        int r;

        if (mode == WIRE_DOMAIN_DIRECT) {
                r = channel_add_status(channel);
                if (!r)
                        r = channel_add_pipe(channel, true);
                if (!r)
                        r = channel_add_pipe(channel, false);
        } else {
                r = channel_add_stream(channel);
        }
        if (!r)
                return 0;
        channel_close(channel);
        if (r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS)
                return CHANNEL_E_LIMIT;
        return error_origin(r);
}
