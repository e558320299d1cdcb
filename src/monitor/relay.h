/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a domain's program writes to its standard error, on its way to the log: cut into lines, escaped and counted,
 * never parsed. The program has one end of a pipe, we the other: it gets no descriptor of the host's terminal, files or
 * journal, and a flood of it is a number in the log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest line that is passed on; what follows it is dropped. */
#define RELAY_LINE_MAX 1024
/** Lines passed on per second; more are counted. An agent says a few a minute. */
#define RELAY_LINES_PER_SEC 50
/** What is still read when the program has ended: a pipe's worth. */
#define RELAY_DRAIN_MAX 65536

typedef struct Relay {
        const char *name; /* begins each line; borrowed */
        int fd;           /* our end of the pipe, non-blocking; owned */
        size_t n_line;
        bool skip_line; /* the rest of a line that was too long */
        uint64_t second;
        unsigned n_lines, n_lost; /* in that second */
        char line[RELAY_LINE_MAX];
} Relay;

#define RELAY_INIT ((Relay){ .fd = -1 })

/**
 * relay_open() - make the pipe
 * @name:         the domain
 * @ret_write_fd: the program's end; the caller's to close
 *
 * Return: 0 or a negative error.
 */
int relay_open(Relay *relay, const char *name, int *ret_write_fd);

/** relay_read() - pass on what there is, at most one chunk. Return: false at the end of the stream */
bool relay_read(Relay *relay);

/**
 * relay_close() - pass on what the program wrote last, and close
 *
 * What it left running may hold the pipe: nobody waits for that. Harmless on RELAY_INIT.
 */
void relay_close(Relay *relay);
