/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local side of a data connection: where the peer's data is written to, and where ours is read from. Two
 * descriptors, or one socket for both; the socket pairs of a program, a service's socket, or what we inherited as
 * descriptors 0 and 1.
 *
 * A program with two socket pairs may ask, by SIGUSR1, to use the first for both directions (protocol specification,
 * 5.7). What it wrote to the second before it asked is still delivered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "data/end.h"

typedef struct DataLocal {
        DataEnd write, read;
        bool write_open, read_open;
        bool inherited; /* closed at their end, not shut down */
        bool single;    /* one socket: read is a copy of write, which owns the descriptor */
        int switch_fd;  /* a signalfd for SIGUSR1; -1: not available, or honoured already */
        bool switching; /* asked for; done once the second socket pair is empty */
} DataLocal;

#define DATA_LOCAL_INIT ((DataLocal){ .write = DATA_END_NONE, .read = DATA_END_NONE, .switch_fd = -1 })

/**
 * data_local_init() - take over both descriptors
 * @write_fd, @read_fd: -1: none; may be the same socket
 * @with_switch: a program at the other end may ask for single-socket mode
 *
 * The descriptors are taken whatever is returned. Return: 0 or a negative error.
 */
int data_local_init(DataLocal *local, int write_fd, int read_fd, bool inherited, bool with_switch);

/** data_local_deinit() - shut down both directions, and close; harmless when repeated */
void data_local_deinit(DataLocal *local);

/** data_local_write(), data_local_read() - as data_end_write() and data_end_read() */
int data_local_write(DataLocal *local, const void *data, size_t n, size_t *ret_n);
int data_local_read(DataLocal *local, void *data, size_t n_max, size_t *ret_n);

/** data_local_close_write(), data_local_close_read() - end one direction (5.3, 5.4); harmless when repeated */
void data_local_close_write(DataLocal *local);
void data_local_close_read(DataLocal *local);

/** data_local_on_switch() - switch_fd is readable. Return: 0 or a negative error */
int data_local_on_switch(DataLocal *local);
