/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a direct call whose service is a socket, in a process that has many such calls: bytes from a pipe of the
 * channel to the socket, or back. The kernel moves them (splice(2)); nothing blocks, nothing is allocated, nothing is kept
 * between two runs, and no flag of the pipe is changed. The socket must be ours alone, with O_NONBLOCK.
 *
 * For edge-triggered events (epoll(7), EPOLLET): run it when something happened at either end, until it says what it waits
 * for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "data/growth.h"

/** Moved by one system call at most. */
#define DATA_FLOW_SPLICE_MAX (256U * 1024U)
/** System calls that move bytes in one run, before others get their turn. */
#define DATA_FLOW_TURN_MAX 4
/** What is dropped from a socket by one system call. */
#define DATA_FLOW_DROP_MAX 16384U

enum {
        DATA_FLOW_E_EMPTY = 1, /* wait for more to read */
        DATA_FLOW_E_FULL,      /* there is more to read: wait for room to write */
        DATA_FLOW_E_TURN,      /* there may be more of both: run it again after the others */
        DATA_FLOW_E_END,       /* all was moved, and no more will come */
        DATA_FLOW_E_GONE,      /* nobody takes it */
};

typedef struct DataFlow {
        bool from_socket; /* else it goes to one */
        DataGrowth growth;
} DataFlow;

/** data_flow_run() - move what goes, for one turn. Return: DATA_FLOW_E_… */
int data_flow_run(DataFlow *flow, int from_fd, int to_fd);

/**
 * data_flow_drop() - read for nobody, for one turn
 * @null_fd: /dev/null, writable
 *
 * Return: DATA_FLOW_E_EMPTY, _TURN or _END.
 */
int data_flow_drop(const DataFlow *flow, int from_fd, int null_fd);
