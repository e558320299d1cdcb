/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

enum {
        _FILE_E_SUCCESS,
        FILE_E_NOT_FOUND,   /* no such file, or a part of the path is no directory */
        FILE_E_ACCESS,      /* exists, may not be read */
        FILE_E_NOT_REGULAR, /* a directory, a device, a socket … */
        FILE_E_TOO_LARGE,   /* more than the caller's limit */
};

/**
 * file_read() - read a regular file whole
 * @dir_fd:    where a relative @path starts (AT_FDCWD: the working directory)
 * @n_max:     largest size in bytes that is accepted
 * @ret_data:  the content, followed by a NUL that is not counted; the caller frees it
 * @ret_n:     its size in bytes
 *
 * The descriptor is opened without blocking and checked before the first read, so that a FIFO or a device in the
 * file's place can neither hang nor flood the reader.
 *
 * Return: 0, one of FILE_E_…, or a negative error.
 */
int file_read(int dir_fd, const char *path, size_t n_max, char **ret_data, size_t *ret_n);

/** file_error_text() - words for a FILE_E_… code, for messages such as "PATH: WORDS" */
const char *file_error_text(int r);
