/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: what a piece of code writes to standard error. Assert only after capture_end(). */
#pragma once

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct Capture {
        int stderr_fd; /* the real standard error */
        char text[16384];
} Capture;

/** capture_begin() - redirect standard error into memory */
static inline void capture_begin(Capture *capture) {
        int memory_fd = memfd_create("captured", MFD_CLOEXEC);

        capture->stderr_fd = dup(STDERR_FILENO);
        if (memory_fd < 0 || capture->stderr_fd < 0 || dup2(memory_fd, STDERR_FILENO) < 0)
                abort();
        close(memory_fd);
}

/** capture_end() - give standard error back. Return: what was written, NUL-terminated, in @capture */
static inline const char *capture_end(Capture *capture) {
        ssize_t n = pread(STDERR_FILENO, capture->text, sizeof(capture->text) - 1, 0);

        if (n < 0 || dup2(capture->stderr_fd, STDERR_FILENO) < 0)
                abort();
        close(capture->stderr_fd);
        capture->text[n] = '\0';
        return capture->text;
}
