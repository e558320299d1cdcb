/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's own log, one line a record, on standard error: `NAME: text`, or `<LEVEL>text` when standard error
 * is the journal's (JOURNAL_STREAM is set), which understands the prefix (sd-daemon(3)).
 *
 * Untrusted text must be escaped (base/escape.h) before it is passed here.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

typedef enum LogLevel {
        LOG_LEVEL_ERROR = 3,
        LOG_LEVEL_WARNING = 4,
        LOG_LEVEL_NOTICE = 5,
        LOG_LEVEL_INFO = 6,
        LOG_LEVEL_DEBUG = 7,
} LogLevel;

/** Longest record in bytes, newline included: what a pipe takes in one piece (PIPE_BUF), so lines never interleave. */
#define LOG_RECORD_MAX 4096

/**
 * log_open() - name the program; call once, first
 * @name:     must live as long as the process
 * @lossy:    never wait for a full standard error: drop the record, count it, and say so when it drains
 *
 * A record that is not lossy may block, as any write to standard error may.
 */
void log_open(const char *name, bool lossy);

/**
 * log_set_batched() - records that are not urgent (LOG_LEVEL_INFO and below) wait for log_flush(), or for a full record
 *
 * For a program that writes a line for each thing it does: one write, after the work, for all of them. Order is kept; an
 * urgent record takes those before it along. Off: what waits is written.
 */
void log_set_batched(bool batched);
/** log_flush() - write what waits */
void log_flush(void);

/** log_set_max_level() - drop records above @level (default LOG_LEVEL_INFO) */
void log_set_max_level(LogLevel level);

/** log_write() - one record, one line. Text of others is escaped by who calls (base/escape.h) */
void log_write(LogLevel level, const char *format, ...) _printf_(2, 3);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
