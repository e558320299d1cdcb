/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of text over a stream socket, both ways, without blocking: what policy agent and front ends say to each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** Longest line, with its newline: a question. */
#define LINES_MAX (1024 * 1024 + 256)
/** What may wait to be sent to a peer that does not read. */
#define LINES_OUT_MAX (16 * LINES_MAX)

typedef struct Lines {
        int fd; /* owned */
        char *in;
        size_t n_in, n_in_size, n_used; /* n_used: what the last line took */
        char *out;
        size_t n_out;
} Lines;

enum {
        _LINES_E_SUCCESS,
        LINES_E_AGAIN, /* no whole line is there: wait for the descriptor */
        LINES_E_EOF,   /* the peer is gone, or sent a line that is too long, or reads nothing */
};

#define LINES_INIT(_fd) ((Lines){ .fd = (_fd) })

/** lines_deinit() - harmless when repeated */
void lines_deinit(Lines *lines);

/**
 * lines_next() - the next line
 * @ret_line: NUL-terminated, without its newline; borrowed until the next call. Its NULs, if any, end it early
 *
 * Return: 0, LINES_E_AGAIN, LINES_E_EOF, or a negative error.
 */
int lines_next(Lines *lines, char **ret_line);

/** lines_put() - queue a line, which has no newline, and send what goes. Return: 0, LINES_E_EOF, or a negative error */
int lines_put(Lines *lines, const char *line);

/** lines_flush() - send what goes; call it when the descriptor is writable. Return: as lines_put() */
int lines_flush(Lines *lines);

/** lines_wants_room() - does something wait to be sent? */
bool lines_wants_room(const Lines *lines);
