/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a pipe is worth more memory. The broker makes pipes of the usual size; whoever sees that a real stream goes through
 * one makes it larger, since the smallest pipe of a chain decides its speed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What pipes grow to. */
#define DATA_GROWTH_PIPE_SIZE (1024U * 1024U)
/** From here on it is a stream: growing a pipe for less would cost more than it gains. */
#define DATA_GROWTH_STREAM_MIN (128U * 1024U)

typedef struct DataGrowth {
        uint32_t n_moved; /* until it has grown */
        bool grown;
} DataGrowth;

/**
 * data_growth_count() - @n bytes went from one descriptor to the other
 *
 * At DATA_GROWTH_STREAM_MIN those of both that are pipes grow, once. An account may have no more pages for pipes (EPERM):
 * then they serve as they are.
 */
void data_growth_count(DataGrowth *growth, size_t n, int from_fd, int to_fd);
