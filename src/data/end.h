/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One local descriptor that a data connection reads from or writes to, whatever it is, without blocking and without
 * setting O_NONBLOCK where others could see it: that flag belongs to the open file description, which is often our
 * parent's too, and would stay behind if we were killed. How, by kind:
 *
 *   socket      MSG_DONTWAIT
 *   pipe, tty   shared with a parent: opened again through /proc/self/fd, with O_NONBLOCK, which gives us a
 *               description of our own. Where that cannot be had (no /proc, somebody else's pipe or terminal) and where
 *               nobody shares it: a read follows a POLLIN, a write follows a POLLOUT and has at most PIPE_BUF bytes.
 *               Such a call blocks only if another process took the bytes or the room in between
 *   other       files, /dev/null: they are always ready
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
        _DATA_END_E_SUCCESS,
        DATA_END_E_AGAIN,  /* nothing there, or no room: poll() */
        DATA_END_E_EOF,    /* read: the end; write: nobody reads any more */
        DATA_END_E_FAILED, /* any other error; it has been logged */
};

typedef enum DataEndKind {
        DATA_END_KIND_SOCKET,
        DATA_END_KIND_PIPE,
        DATA_END_KIND_OTHER,
} DataEndKind;

typedef struct DataEnd {
        int fd;     /* -1: none */
        int own_fd; /* the same thing, opened again for us alone; -1: not */
        DataEndKind kind;
} DataEnd;

#define DATA_END_NONE ((DataEnd){ .fd = -1, .own_fd = -1 })

/**
 * data_end_init() - take over a descriptor; cannot fail
 * @writable:  it is written to, else read from
 * @inherited: others share its open file description
 */
void data_end_init(DataEnd *end, int fd, bool writable, bool inherited);

/** data_end_init_own() - the same where nobody else has its open file description: O_NONBLOCK is set; cannot fail */
void data_end_init_own(DataEnd *end, int fd);

/** data_end_deinit() - close it; harmless when repeated */
void data_end_deinit(DataEnd *end);

/** data_end_poll_fd() - the descriptor to poll; -1: none */
static inline int data_end_poll_fd(const DataEnd *end) {
        return end->own_fd >= 0 ? end->own_fd : end->fd;
}

/** data_end_is_readable() - would a read return at once, with data, an end or an error? */
bool data_end_is_readable(const DataEnd *end);

/** data_end_read() - after POLLIN. Return: 0 and *@ret_n > 0, or DATA_END_E_… */
int data_end_read(DataEnd *end, void *data, size_t n_max, size_t *ret_n);

/** data_end_write() - as much of @n > 0 bytes as goes. Return: 0 and *@ret_n > 0, or DATA_END_E_… */
int data_end_write(DataEnd *end, const void *data, size_t n, size_t *ret_n);
