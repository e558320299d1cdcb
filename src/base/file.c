/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
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
                return FILE_E_ACCESS;
        case ENXIO: /* a socket, or a FIFO nobody writes to */
        case ENODEV:
                return FILE_E_NOT_REGULAR;
        default:
                return error_origin(-error);
        }
}

int file_read(int dir_fd, const char *path, size_t n_max, char **ret_data, size_t *ret_n) {
        _cleanup_fd_ int fd = -1;
        _cleanup_free_ char *data = NULL;
        struct stat st;
        size_t n = 0, n_allocated;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return file_open_error(errno);
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return FILE_E_NOT_REGULAR;
        if (st.st_size < 0 || (uintmax_t)st.st_size > n_max)
                return FILE_E_TOO_LARGE;

        /* Room for one byte more than expected shows a file that grew meanwhile (and holds the final NUL). */
        n_allocated = (size_t)st.st_size + 2;
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
        default:
                return "unknown error";
        }
}
