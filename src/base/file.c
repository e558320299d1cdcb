/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

static int file_open_error(int error) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case ENAMETOOLONG:
                return FILE_E_NOT_FOUND;
        case EACCES:
        case EPERM:
        case EROFS:
                return FILE_E_ACCESS;
        case ENXIO: /* a socket, or a FIFO nobody writes to */
        case ENODEV:
                return FILE_E_NOT_REGULAR;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EIO:
                return FILE_E_UNREADABLE; /* a shortage of the moment must not end a daemon */
        default:
                return error_origin(-error);
        }
}

static int file_read_opened(int fd, const struct stat *st, size_t n_max, char **ret_data, size_t *ret_n) {
        _cleanup_free_ char *data = NULL;
        size_t n = 0, n_allocated;

        if (!S_ISREG(st->st_mode))
                return FILE_E_NOT_REGULAR;
        if (st->st_size < 0 || (uintmax_t)st->st_size > n_max)
                return FILE_E_TOO_LARGE;

        /* Room for one byte more than expected shows a file that grew meanwhile (and holds the final NUL). */
        n_allocated = (size_t)st->st_size + 2;
        data = malloc(n_allocated);
        if (!data)
                return error_origin(-ENOMEM);

        for (;;) {
                ssize_t got = read(fd, data + n, n_allocated - 1 - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return error_origin(-errno);
                if (got == 0)
                        break;
                n += (size_t)got;
                if (n > n_max)
                        return FILE_E_TOO_LARGE;
                if (n == n_allocated - 1) {
                        char *larger;

                        n_allocated = n_allocated * 2 + 1;
                        larger = realloc(data, n_allocated);
                        if (!larger)
                                return error_origin(-ENOMEM);
                        data = larger;
                }
        }

        data[n] = '\0';
        *ret_data = steal_ptr(&data);
        *ret_n = n;
        return 0;
}

int file_read(int dir_fd, const char *path, size_t n_max, char **ret_data, size_t *ret_n) {
        _cleanup_fd_ int fd = -1;
        struct stat st;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return file_open_error(errno);
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        return file_read_opened(fd, &st, n_max, ret_data, ret_n);
}

int file_check_trusted(const struct stat *st) {
        if (st->st_uid != 0 && st->st_uid != geteuid())
                return FILE_E_OWNER;
        if (st->st_mode & (S_IWGRP | S_IWOTH))
                return FILE_E_WRITABLE;
        return 0;
}

int file_read_trusted(int dir_fd, const char *path, size_t n_max, char **ret_data, size_t *ret_n) {
        _cleanup_fd_ int fd = -1;
        struct stat st;
        int r;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
        if (fd < 0)
                return errno == ELOOP ? FILE_E_SYMLINK : file_open_error(errno);
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        r = file_check_trusted(&st);
        return r ?: file_read_opened(fd, &st, n_max, ret_data, ret_n);
}

/* Writes and synchronises the temporary file; the caller removes it if anything fails. */
static int file_write_beside(int dir_fd, const char *name, const char *temporary, const void *data, size_t n,
                             mode_t mode) {
        _cleanup_fd_ int fd = -1;
        struct stat st;
        int r;

        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return file_open_error(errno);
        r = fd_write_full(fd, data, n);
        if (r < 0)
                return error_origin(r);
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && geteuid() == 0 &&
            fchown(fd, st.st_uid, st.st_gid) < 0)
                return error_origin(-errno);
        if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
                return error_origin(-errno);
        return 0;
}

int file_replace(int dir_fd, const char *name, const void *data, size_t n, mode_t mode, bool create) {
        _cleanup_free_ char *temporary = NULL;
        int r;

        /* Our process id makes it ours alone; one left behind by a process that died with the same id is stale. */
        if (asprintf(&temporary, ".%s.%d.tmp", name, (int)getpid()) < 0)
                return error_origin(-ENOMEM);
        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return file_open_error(errno);

        r = file_write_beside(dir_fd, name, temporary, data, n, mode);
        /* A link fails where a name exists, on every file system; RENAME_NOREPLACE is not everywhere. */
        if (r == 0 &&
            (create ? linkat(dir_fd, temporary, dir_fd, name, 0) : renameat(dir_fd, temporary, dir_fd, name)) < 0)
                r = errno == EEXIST ? FILE_E_EXISTS : file_open_error(errno);
        if (r || create)
                (void)unlinkat(dir_fd, temporary, 0);
        if (r)
                return r;
        if (fsync(dir_fd) < 0)
                return error_origin(-errno);
        return 0;
}

const char *file_error_text(int r) {
        switch (r) {
        case FILE_E_NOT_FOUND:
                return "no such file";
        case FILE_E_ACCESS:
                return "permission denied";
        case FILE_E_NOT_REGULAR:
                return "not a regular file";
        case FILE_E_TOO_LARGE:
                return "file too large";
        case FILE_E_UNREADABLE:
                return "out of descriptors or memory, or a broken disk";
        case FILE_E_SYMLINK:
                return "is a symbolic link";
        case FILE_E_OWNER:
                return "has the wrong owner";
        case FILE_E_WRITABLE:
                return "may be written by its group or by others";
        case FILE_E_EXISTS:
                return "exists already";
        default:
                return "unknown error";
        }
}
