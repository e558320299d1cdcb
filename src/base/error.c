/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

int error_note_slow(int r, const char *file, int line, const char *function, const char *what) {
        int saved = errno;

        log_error("internal error %s in %s() (%s:%d): %s", what, function, file, line, strerror(-r));
        errno = saved;
        return r;
}

int error_note_fold(int r, const char *file, int line, const char *function) {
        if (r > 0)
                return error_note_slow(-ENOTRECOVERABLE, file, line, function, "folded");
        return error_note(r, file, line, function, "passed on");
}
