/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of call ids. A block is written down as taken before it is given to a broker, in a file that outlives broker
 * and supervisor (not the boot: then no agent runs either). So no two brokers ever give out the same id while an agent
 * may still run a call of the first, however abruptly anybody died.
 *
 * The file is overwritten where it stands, by one system call, and kept open: it is in memory, so there is no crash that tears
 * it and leaves agents alive. A new one in its place would be news to whoever watches the run directory, as the broker does
 * for a policy that may come to be there.
 */
#pragma once

#include <stdint.h>

typedef struct CallIds {
        int fd;        /* the file; owned */
        uint32_t next; /* where the next block begins */
} CallIds;

#define CALL_IDS_INIT ((CallIds){ .fd = -1 })

/**
 * call_ids_init() - read where an earlier supervisor had got to
 *
 * A file that makes no sense is an error: nobody but root writes it, and a guess could give an id out twice.
 * Return: 0 or a negative error, which has been explained in the log.
 */
int call_ids_init(CallIds *ids, const char *run_dir);
/** call_ids_deinit() - close the file; harmless on CALL_IDS_INIT */
void call_ids_deinit(CallIds *ids);

/** call_ids_take() - take a block of SUPERVISE_IDS_BLOCK ids. Return: 0 or a negative error, explained in the log */
int call_ids_take(CallIds *ids, uint32_t *ret_first);
