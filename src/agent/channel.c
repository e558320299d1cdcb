/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/channel.h"

#include <unistd.h>

#include "base/fd.h"
#include "data/status.h"

void channel_close(Channel *channel) {
        channel->status_fd = fd_close(channel->status_fd);
        /* They came in one message, so they usually lie side by side. */
        if (channel->stdin_fd >= 0 && channel->stdout_fd == channel->stdin_fd + 1 &&
            close_range((unsigned)channel->stdin_fd, (unsigned)channel->stdout_fd, 0) == 0)
                channel->stdin_fd = channel->stdout_fd = -1;
        channel->stdin_fd = fd_close(channel->stdin_fd);
        channel->stdout_fd = fd_close(channel->stdout_fd);
}

void channel_refuse(Channel *channel, int status) {
        DataStatus stream = { .fd = fd_steal(&channel->status_fd) };

        (void)data_status_exit(&stream, status);
        data_status_deinit(&stream);
        channel_close(channel);
}
