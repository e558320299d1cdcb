/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where `qair log` reads audit records from, one after the other, oldest first: the file, or the journal. In the journal
 * only what was sent by the broker's account counts, since any account may write what looks like a record.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "base/cleanup.h"

typedef struct LogSource LogSource;

enum {
        _LOG_SOURCE_E_SUCCESS,
        LOG_SOURCE_E_END,    /* no more records now */
        LOG_SOURCE_E_FAILED, /* it cannot be read; that was said on standard error */
};

/** log_source_open_file() - Return: 0, LOG_SOURCE_E_FAILED, or a negative error */
int log_source_open_file(const char *path, LogSource **ret_source);
/** log_source_open_journal() - Return: 0, LOG_SOURCE_E_FAILED, or a negative error */
int log_source_open_journal(LogSource **ret_source);
/** log_source_free() - accepts NULL. Return: NULL */
LogSource *log_source_free(LogSource *source);
DEFINE_CLEANUP(LogSource *, log_source_free)

/** log_source_next() - @ret_record is the caller's. Return: 0, LOG_SOURCE_E_…, or a negative error */
int log_source_next(LogSource *source, struct json_object **ret_record);
/** log_source_wait() - until there may be more; a file that was rotated away is left for its successor. Return: 0 or -errno */
int log_source_wait(LogSource *source);
