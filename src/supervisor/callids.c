/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/callids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/number.h"
#include "wire/supervise.h"

#define CALL_IDS_FILE     "call-ids"
#define CALL_IDS_FILE_MAX 16
/* Always as wide, so that nothing is left of a number that was longer. */
#define CALL_IDS_FORMAT "%-9" PRIu32 "\n"
#define CALL_IDS_SIZE   10

/* What an earlier supervisor wrote; 1 if there was none. Return: 0 or a negative error, explained in the log */
static int call_ids_read(int dir_fd, const char *run_dir, uint32_t *ret_next) {
        _cleanup_free_ char *text = NULL;
        uint64_t next = 1;
        size_t n;
        int r;

        r = file_read_trusted(dir_fd, CALL_IDS_FILE, CALL_IDS_FILE_MAX, &text, &n);
        if (r < 0)
                return error_trace(r);
        /* Empty: its maker died before it gave out a block. */
        if (r != FILE_E_NOT_FOUND && (r || n > 0)) {
                if (!r && text[n - 1] == '\n')
                        --n;
                while (!r && n > 0 && text[n - 1] == ' ')
                        --n;
                if (r || number_parse(text, n, 1, SUPERVISE_IDS_MAX, &next)) {
                        log_error("%s/" CALL_IDS_FILE
                                  " makes no sense: remove it when no service runs, and start again",
                                  run_dir);
                        return -EBADMSG;
                }
        }
        *ret_next = (uint32_t)next;
        return 0;
}

int call_ids_init(CallIds *ids, const char *run_dir) {
        _cleanup_fd_ int dir_fd = -1;
        int r;

        *ids = CALL_IDS_INIT;
        dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0) {
                log_error("cannot open %s: %m", run_dir);
                return -errno;
        }
        r = call_ids_read(dir_fd, run_dir, &ids->next);
        if (r)
                return error_trace(r);
        ids->fd = openat(dir_fd, CALL_IDS_FILE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (ids->fd < 0) {
                log_error("cannot write %s/" CALL_IDS_FILE ": %m", run_dir);
                return -errno;
        }
        return 0;
}

void call_ids_deinit(CallIds *ids) {
        ids->fd = fd_close(ids->fd);
}

int call_ids_take(CallIds *ids, uint32_t *ret_first) {
        uint32_t first = ids->next, next = first + SUPERVISE_IDS_BLOCK;
        char text[CALL_IDS_SIZE + 1];

        if (next > SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK + 1)
                next = 1;
        snprintf(text, sizeof(text), CALL_IDS_FORMAT, next);
        if (pwrite(ids->fd, text, CALL_IDS_SIZE, 0) != CALL_IDS_SIZE) {
                log_error("cannot write " CALL_IDS_FILE " in the run directory: %m");
                return -EIO;
        }
        ids->next = next;
        *ret_first = first;
        return 0;
}
