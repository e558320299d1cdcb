/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of a data connection have in common: a stream, a local side, perhaps a child, and one place where
 * all of them are waited for. Callee and caller differ in what events mean to them and in when they are done.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <poll.h>

#include "data/end.h"
#include "data/local.h"
#include "data/stream.h"
#include "wire/call.h"
#include "wire/reader.h"

typedef enum DataSource {
        DATA_SOURCE_STREAM,
        DATA_SOURCE_WRITE,
        DATA_SOURCE_READ,
        DATA_SOURCE_ERR,
        DATA_SOURCE_CHILD,
        DATA_SOURCE_SWITCH,
        DATA_SOURCE_WATCH,
        _DATA_SOURCE_N,
} DataSource;

typedef struct DataPump {
        DataStream *stream; /* NULL: given up */
        DataLocal local;
        DataEnd err;     /* callee: the service's stderr; none: closed */
        int child_pidfd; /* -1: no child, or reaped */
        int child_status;
        CallHow child_how;
        int watch_fd;       /* not owned */
        short watch_events; /* for poll(2) */
        WireSlice pending;  /* from the peer, to be written to the local side before anything else */
        struct pollfd sources[_DATA_SOURCE_N];
} DataPump;

#define DATA_PUMP_INIT                    \
        ((DataPump){                      \
                .local = DATA_LOCAL_INIT, \
                .err = DATA_END_NONE,     \
                .child_pidfd = -1,        \
                .watch_fd = -1,           \
                .watch_events = POLLIN,   \
        })

/** data_pump_deinit() - close everything that is owned */
void data_pump_deinit(DataPump *pump);

/**
 * data_pump_wait() - wait until something can be done
 * @running: the local side takes part; else only the stream (if there is one), the child and the watch
 * @timeout_msec: come back after this time, whatever happened; -1: never
 *
 * Return: 0 or a negative error.
 */
int data_pump_wait(DataPump *pump, bool running, int timeout_msec);

/** data_pump_can_read() - did the last wait find something at @source? Hang-ups and errors are read, too */
static inline bool data_pump_can_read(const DataPump *pump, DataSource source) {
        return pump->sources[source].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL);
}

/** data_pump_is_hung_up() - did the last wait find that the local side takes no more data? */
static inline bool data_pump_is_hung_up(const DataPump *pump) {
        return pump->sources[DATA_SOURCE_WRITE].revents & (POLLHUP | POLLERR | POLLNVAL);
}

/** data_pump_can_drain() - did the last wait find room for what is pending, or nobody who wants it any more? */
static inline bool data_pump_can_drain(const DataPump *pump) {
        return !pump->local.write_open || pump->sources[DATA_SOURCE_WRITE].revents;
}

/**
 * data_pump_receive() - send what waits for the peer, then see what has come from it
 *
 * Return: 0: there may be something to deliver; DATA_STREAM_E_AGAIN: not now; DATA_STREAM_E_EOF: the peer closed, and
 * everything that it sent before has been delivered; or a negative error.
 */
int data_pump_receive(DataPump *pump);

/**
 * data_pump_forward() - send one chunk of what the local side has, if it has any
 * @type: of the messages; the stream must be flushed, and the local side open for reading
 *
 * Return: 0; DATA_END_E_EOF: nothing more comes from it; or a negative error.
 */
int data_pump_forward(DataPump *pump, WireType type);

/**
 * data_pump_drain() - write what is pending to the local side, or drop it where nobody takes it
 *
 * Return: 0: nothing is pending any more; DATA_END_E_AGAIN; DATA_END_E_EOF: the local side failed, close it.
 */
int data_pump_drain(DataPump *pump);

/** data_pump_reap() - the child ended: take its status. Return: 0 or a negative error */
int data_pump_reap(DataPump *pump);
