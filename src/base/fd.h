/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: "none" is -1, 0 is valid, the test is `>= 0`. O_CLOEXEC at birth, everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** fd_close() - close @fd if it is one; errno is kept. Return: -1, so that `fd = fd_close(fd)` reads well */
int fd_close(int fd);

static inline void fd_closep(int *fd) {
        (void)fd_close(*fd);
}
#define _cleanup_fd_ _cleanup_(fd_closep)

/**
 * fd_close_all() - close @n descriptors, each of them the caller's and named once; errno is kept
 *
 * Neighbours, as descriptors that were made one after the other mostly are, go with one system call. -1 is left out.
 */
void fd_close_all(const int *fds, size_t n);

/** fd_steal() - take the descriptor out of *@fd, leaving -1 */
static inline int fd_steal(int *fd) {
        int value = *fd;

        *fd = -1;
        return value;
}

/** fd_set_nonblocking() - set or clear O_NONBLOCK. Return: 0 or -errno (not logged) */
int fd_set_nonblocking(int fd, bool nonblocking);

/** fd_set_cloexec() - set or clear FD_CLOEXEC. Return: 0 or -errno (not logged) */
int fd_set_cloexec(int fd, bool cloexec);

/**
 * fd_ensure_standard() - make sure descriptors 0, 1 and 2 are open
 *
 * A program started with one of them closed would hand its next socket to a child as stdin. Missing ones are opened
 * on /dev/null. Call it first in main(). Return: 0 or -errno (not logged).
 */
int fd_ensure_standard(void);

/** fd_read_full() - read exactly @n bytes from a blocking descriptor. Return: 0, FD_E_EOF, or -errno (not logged) */
int fd_read_full(int fd, void *data, size_t n);

/**
 * fd_read_all() - read a blocking descriptor to its end
 * @n_max:    most bytes that are accepted; memory is taken as they come
 * @ret_data: followed by a NUL that is not counted; the caller frees it
 *
 * Return: 0, FD_E_TOO_LONG, or -errno (not logged).
 */
int fd_read_all(int fd, size_t n_max, char **ret_data, size_t *ret_n);

/** fd_write_full() - write exactly @n bytes to a blocking descriptor. Return: 0 or -errno (not logged) */
int fd_write_full(int fd, const void *data, size_t n);

enum {
        _FD_E_SUCCESS,
        FD_E_EOF,      /* the stream ended before all bytes had arrived */
        FD_E_TOO_LONG, /* there is more than the caller's limit */
};
