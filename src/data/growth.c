/* SPDX-License-Identifier: Apache-2.0 */
#include "data/growth.h"

#include <fcntl.h>

void data_growth_count(DataGrowth *growth, size_t n, int from_fd, int to_fd) {
        if (growth->grown)
                return;
        if (n < DATA_GROWTH_STREAM_MIN - growth->n_moved) {
                growth->n_moved += (uint32_t)n;
                return;
        }
        growth->grown = true;
        /* What is no pipe says EBADF. */
        (void)fcntl(from_fd, F_SETPIPE_SZ, DATA_GROWTH_PIPE_SIZE);
        (void)fcntl(to_fd, F_SETPIPE_SZ, DATA_GROWTH_PIPE_SIZE);
}
