/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/callids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/number.h"
#include "wire/supervise.h"

#define CALL_IDS_FILE     "call-ids"
#define CALL_IDS_FILE_MAX 16

int call_ids_init(CallIds *ids, const char *run_dir) {
        _cleanup_free_ char *text = NULL;
        uint64_t next = 1;
        size_t n;
        int r;

        *ids = CALL_IDS_INIT;
        ids->dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (ids->dir_fd < 0) {
                log_error("cannot open %s: %m", run_dir);
                return -errno;
        }
        r = file_read_trusted(ids->dir_fd, CALL_IDS_FILE, CALL_IDS_FILE_MAX, &text, &n);
        if (r < 0)
                return error_trace(r);
        if (r != FILE_E_NOT_FOUND) {
                if (!r && n > 0 && text[n - 1] == '\n')
                        --n;
                if (r || number_parse(text, n, 1, SUPERVISE_IDS_MAX, &next)) {
                        log_error("%s/" CALL_IDS_FILE
                                  " makes no sense: remove it when no service runs, and start again",
                                  run_dir);
                        return -EBADMSG;
                }
        }
        ids->next = (uint32_t)next;
        return 0;
}

void call_ids_deinit(CallIds *ids) {
        ids->dir_fd = fd_close(ids->dir_fd);
}

int call_ids_take(CallIds *ids, uint32_t *ret_first) {
        uint32_t first = ids->next, next = first + SUPERVISE_IDS_BLOCK;
        char text[CALL_IDS_FILE_MAX];
        int n, r;

        if (next > SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK + 1)
                next = 1;
        n = snprintf(text, sizeof(text), "%" PRIu32 "\n", next);
        r = file_replace(ids->dir_fd, CALL_IDS_FILE, text, (size_t)n, 0600, false);
        if (r) {
                log_error("cannot write " CALL_IDS_FILE " in the run directory: %s",
                          r > 0 ? file_error_text(r) : strerror(-r));
                return r > 0 ? -EACCES : r;
        }
        ids->next = next;
        *ret_first = first;
        return 0;
}
