/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
        _FILE_E_SUCCESS,
        FILE_E_NOT_FOUND,   /* no such file, or a part of the path is no directory */
        FILE_E_ACCESS,      /* may not be read or written */
        FILE_E_NOT_REGULAR, /* a directory, a device, a socket … */
        FILE_E_TOO_LARGE,   /* more than the caller's limit */
        FILE_E_UNREADABLE,  /* the system could not, now: no descriptors, no memory, a broken disk */
        FILE_E_SYMLINK,     /* file_read_trusted(): a symbolic link */
        FILE_E_OWNER,       /* file_read_trusted(): neither root's nor the caller's */
        FILE_E_WRITABLE,    /* file_read_trusted(): group or others may write it */
        FILE_E_EXISTS,      /* file_replace(): there is one already */
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

/**
 * file_check_trusted() - may a program that runs as the effective user believe what stands there?
 *
 * Only if the owner is root or that user, and neither group nor others may write. (An access control list that lets
 * somebody else write shows in the group's bits.)
 * Return: 0, FILE_E_OWNER or FILE_E_WRITABLE.
 */
int file_check_trusted(const struct stat *st);

/**
 * file_read_trusted() - file_read() for what decides over rights
 *
 * The opened file must pass file_check_trusted(), and @path's last part must be no symbolic link: its target could
 * be replaced in a folder that nobody looked at.
 * Return: 0, one of FILE_E_…, or a negative error.
 */
int file_read_trusted(int dir_fd, const char *path, size_t n_max, char **ret_data, size_t *ret_n);

/**
 * file_replace() - put a file with this content in the place of @name, whole or not at all
 * @dir_fd: the folder; must be a real descriptor, and is synchronised to disk
 * @name:   without a slash
 * @mode:   permissions; the umask does not matter
 * @create: the file must not exist yet
 *
 * Written beside it under a name that begins with a dot, synchronised, renamed: a reader sees the old content or the
 * new, also after a crash. An old file's owner is kept if the caller may.
 *
 * Return: 0, FILE_E_ACCESS, FILE_E_EXISTS, or a negative error.
 */
int file_replace(int dir_fd, const char *name, const void *data, size_t n, mode_t mode, bool create);

/** file_error_text() - words for a FILE_E_… code, for messages such as "PATH: WORDS" */
const char *file_error_text(int r);
