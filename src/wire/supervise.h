/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What supervisor and broker tell each other over their SOCK_SEQPACKET pair, one message a packet
 * (doc/architecture.md, "Supervisor"). A packet is a u32 type, a u32 number and two 32-byte names; which of them
 * mean something depends on the type, the others are zero.
 *
 *   supervisor to broker                 number   name     instance   descriptors
 *     SHARED   the shared trigger socket  -        -        -          1: listening
 *     DOMAIN   a domain and its sockets   uid      domain   -          3: trigger, link, daemon, all listening
 *     FOLDER   a domain without account   -        domain   -          3: the same; it is whoever reaches them
 *     GONE     a domain is no more        -        domain   -          -
 *     READY    everything was told        -        -        -          -
 *     ENDED    an agent ended, or failed  status   domain   instance   -
 *     STOPPED  it was told to, and has    status   domain   -          -   (answers STOP; else: why not)
 *     RELOAD   read the configuration     request  -        -          -   (0, or answers REREAD)
 *     AUDIT    where its records go       kind     -        -          1: see SuperviseAudit
 *     BOOK     memory for open calls       -        -        -          1: SUPERVISE_BOOK_SIZE bytes (broker/book.h)
 *     IDS      a block of call ids        first    -        -          -
 *     STORE    where QubesDB is asked     -        domain   -          2: in the domain, on the host, listening
 *     STORES   the shared QubesDB socket  -        -        -          1: listening
 *   broker to supervisor
 *     START    start a domain             -        domain   instance   -
 *     STOP     stop it                    -        domain   instance   -
 *     SERVING  all of that is in force    -        -        -          -   (answers READY and RELOAD)
 *     MORE_IDS half of a block is used up -        -        -          -   (answered by IDS)
 *     REOPEN   its records cannot be sent -        -        -          -   (answered by AUDIT)
 *     REREAD   read what was saved        request  -        -          -   (answered by RELOAD; not 0)
 *
 * From the broker the supervisor takes these alone, and looks names up in root-owned configuration.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/name.h"

#define SUPERVISE_SIZE 72

typedef enum SuperviseType {
        SUPERVISE_TYPE_SHARED = 1,
        SUPERVISE_TYPE_DOMAIN = 2,
        SUPERVISE_TYPE_GONE = 3,
        SUPERVISE_TYPE_READY = 4,
        SUPERVISE_TYPE_ENDED = 5,
        SUPERVISE_TYPE_RELOAD = 6,
        SUPERVISE_TYPE_AUDIT = 7,
        SUPERVISE_TYPE_IDS = 8,
        SUPERVISE_TYPE_BOOK = 9,
        SUPERVISE_TYPE_FOLDER = 10,
        SUPERVISE_TYPE_STOPPED = 11,
        SUPERVISE_TYPE_STORE = 12,
        SUPERVISE_TYPE_STORES = 13,
        SUPERVISE_TYPE_START = 16,
        SUPERVISE_TYPE_STOP = 17,
        SUPERVISE_TYPE_SERVING = 18,
        SUPERVISE_TYPE_MORE_IDS = 19,
        SUPERVISE_TYPE_REOPEN = 20,
        SUPERVISE_TYPE_REREAD = 21,
} SuperviseType;

/**
 * Calls that an IDS names: the first and those that follow. Enough for seconds of the busiest host, so that the next
 * block arrives in time; few enough that ids stay short over many restarts.
 */
#define SUPERVISE_IDS_BLOCK 10000
/** The largest call id: nine digits can still be typed. Then they begin again at 1. */
#define SUPERVISE_IDS_MAX UINT32_C(999999999)

/** Of the memory of BOOK. Only what is used of it is there: it is made to be larger than anybody needs. */
#define SUPERVISE_BOOK_SIZE (16 * 1024 * 1024)

/** What the descriptor of AUDIT is: its number. */
typedef enum SuperviseAudit {
        SUPERVISE_AUDIT_JOURNAL = 1, /* a datagram socket, connected to the journal */
        SUPERVISE_AUDIT_FILE = 2,    /* a file, open for appending: a line of JSON for each record */
} SuperviseAudit;

enum {
        _SUPERVISE_E_SUCCESS,
        SUPERVISE_E_MALFORMED,
};

typedef struct Supervise {
        SuperviseType type;
        uint32_t number;
        DomainName domain;   /* empty where the table has "-" */
        DomainName instance; /* of a disposable; may be empty */
} Supervise;

/** supervise_decode() - a packet; names where the table has none, or none where it has one, are refused */
int supervise_decode(const uint8_t *untrusted_data, size_t n, Supervise *ret_message);

/** supervise_encode() - a whole packet */
void supervise_encode(const Supervise *message, uint8_t ret_data[static SUPERVISE_SIZE]);

/** supervise_n_fds() - how many descriptors a message of this type carries */
size_t supervise_n_fds(SuperviseType type);
