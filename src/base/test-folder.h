/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: the files in a folder of their own. To be included after cmocka.h: what cannot be done fails the test. */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

/** folder_write() - @text is what the file @name in @folder holds from now on */
static inline void folder_write(const char *folder, const char *name, const char *text, mode_t mode) {
        _cleanup_fd_ int fd = -1;
        char path[PATH_MAX];

        assert_true(snprintf(path, sizeof(path), "%s/%s", folder, name) < PATH_MAX);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        assert_true(fd >= 0);
        assert_int_equal(fchmod(fd, mode), 0);
        assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static inline int folder_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

/** folder_remove() - @folder and all that is in it. Return: 0 if that could be done */
static inline int folder_remove(const char *folder) {
        return nftw(folder, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
