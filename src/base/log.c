/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
        const char *name;
        LogLevel max_level;
        bool lossy;
        bool journal;
        unsigned long n_dropped;
} log_state = { .name = "qair", .max_level = LOG_LEVEL_INFO };

void log_open(const char *name, bool lossy) {
        log_state.name = name;
        log_state.lossy = lossy;
        log_state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_max_level(LogLevel level) {
        log_state.max_level = level;
}

/* POLLOUT on a pipe promises room for PIPE_BUF bytes, and a record is no longer: the write cannot block. */
static bool log_can_write(void) {
        struct pollfd poll_fd = { .fd = STDERR_FILENO, .events = POLLOUT };

        return !log_state.lossy || (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT));
}

static void log_emit(LogLevel level, const char *format, va_list arguments) _printf_(2, 0);
static void log_emit(LogLevel level, const char *format, va_list arguments) {
        char record[LOG_RECORD_MAX];
        int n, n_prefix;

        n_prefix = log_state.journal ? snprintf(record, sizeof(record), "<%d>", (int)level)
                                     : snprintf(record, sizeof(record), "%s: ", log_state.name);
        if (n_prefix < 0 || (size_t)n_prefix >= sizeof(record) - 1)
                return;
        n = vsnprintf(record + n_prefix, sizeof(record) - (size_t)n_prefix - 1, format, arguments);
        if (n < 0)
                return;
        n += n_prefix;
        if ((size_t)n > sizeof(record) - 2)
                n = sizeof(record) - 2;
        record[n++] = '\n';
        while (write(STDERR_FILENO, record, (size_t)n) < 0 && errno == EINTR)
                ;
}

static void log_emit_args(LogLevel level, const char *format, ...) _printf_(2, 3);
static void log_emit_args(LogLevel level, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        log_emit(level, format, arguments);
        va_end(arguments);
}

void log_write(LogLevel level, const char *format, ...) {
        int saved = errno;
        va_list arguments;

        if (level > log_state.max_level)
                return;
        if (!log_can_write()) {
                ++log_state.n_dropped;
                errno = saved;
                return;
        }
        if (log_state.n_dropped > 0) {
                log_emit_args(LOG_LEVEL_WARNING, "%lu log records were lost: nobody read standard error",
                              log_state.n_dropped);
                log_state.n_dropped = 0;
                if (!log_can_write()) {
                        ++log_state.n_dropped;
                        errno = saved;
                        return;
                }
        }
        va_start(arguments, format);
        log_emit(level, format, arguments);
        va_end(arguments);
        errno = saved;
}
