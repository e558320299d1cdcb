/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a direct call where a process of ours has to carry it: bytes from one descriptor to another, of
 * which at least one is a pipe of the channel. Nothing ever blocks, and no flag of a descriptor that others share is
 * changed.
 *
 * The kernel moves the bytes (splice(2)) as long as it can; what it cannot serve (terminals, files opened with O_APPEND)
 * and what must be looked at (a filter) is copied through a buffer. Sockets that others share are copied to, because a
 * splice to them blocks; they are spliced from.
 *
 * For processes that do nothing else: one that splices a stream (DATA_GROWTH_STREAM_MIN) becomes a batch process (sched(7)).
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/end.h"
#include "data/filter.h"
#include "data/growth.h"
#include "wire/reader.h"

/** Moved by one system call at most. */
#define DATA_RELAY_SPLICE_MAX (1024U * 1024U)
/** What is copied at a time where splice(2) cannot serve. */
#define DATA_RELAY_BUFFER 65536U

/** Who else has the open file description of an end. */
typedef enum DataRelayKind {
        DATA_RELAY_KIND_OURS,      /* nobody: its flags are ours, and a socket is shut down at its end */
        DATA_RELAY_KIND_PIPE,      /* nobody, and it is known to be a pipe: the broker made it */
        DATA_RELAY_KIND_INHERITED, /* others: closed, and that is all */
        DATA_RELAY_KIND_TWO_WAY,   /* others, and it is a socket whose other direction is in use: shut down */
} DataRelayKind;

typedef struct DataRelay {
        DataEnd from, to; /* fd -1: ended */
        DataRelayKind from_kind, to_kind;
        bool copies;       /* splice(2) cannot serve */
        DataFilter filter; /* 5.12 */
        bool drain;        /* when nobody takes the bytes any more, read on and drop them */
        bool lingers;      /* at the end of what is read, @ended is set, and the owner closes or switches */
        bool waits_for_to; /* else for more to read */
        bool ended;
        DataGrowth growth;
        WireSlice pending; /* to be written before anything else is read */
        uint8_t *buffer;   /* NULL until something is copied */
} DataRelay;

#define DATA_RELAY_INIT ((DataRelay){ .from = DATA_END_NONE, .to = DATA_END_NONE })

/**
 * data_relay_init() - take over both descriptors; cannot fail
 * @relay: holds its choices: filter, drain, and in pending a prefix (not owned), for which @to must be OURS or PIPE
 */
void data_relay_init(DataRelay *relay, int from_fd, DataRelayKind from_kind, int to_fd, DataRelayKind to_kind);

/** data_relay_is_open() - is there anything left to do? */
static inline bool data_relay_is_open(const DataRelay *relay) {
        return relay->from.fd >= 0;
}

/** data_relay_close() - end this direction at both ends; harmless when repeated */
void data_relay_close(DataRelay *relay);

/** data_relay_close_to() - as if nobody took the bytes any more */
void data_relay_close_to(DataRelay *relay);

/** data_relay_switch() - read from another descriptor from now on, OURS; the one before is shut down and closed */
void data_relay_switch(DataRelay *relay, int from_fd);

/** data_relay_want() - what to poll() for: the two ends, fd -1 where nothing is wanted */
void data_relay_want(const DataRelay *relay, struct pollfd ret_sources[static 2]);

/**
 * data_relay_run() - after poll(): move what goes
 *
 * A descriptor that fails ends the direction; so the only error is memory, a negative one. Return: 0 or that.
 */
int data_relay_run(DataRelay *relay, const struct pollfd sources[static 2]);
