/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What standard error is decides how not to wait for it. */
typedef enum LogKind {
        LOG_KIND_FILE,   /* a regular file never makes us wait */
        LOG_KIND_SOCKET, /* the journal's: MSG_DONTWAIT */
        LOG_KIND_OTHER,  /* pipes and terminals: asked before each write */
} LogKind;

static struct {
        const char *name;
        LogLevel max_level;
        LogKind kind;
        bool lossy;
        bool journal;
        bool batched;
        unsigned long n_dropped;
        unsigned long n_records; /* in log_batch */
        size_t n;
} log_state = { .name = "qair", .max_level = LOG_LEVEL_INFO, .kind = LOG_KIND_OTHER };

/* Apart, so that a program that batches nothing has no page of it. */
static char log_batch[LOG_RECORD_MAX];

void log_open(const char *name, bool lossy) {
        struct stat status;

        log_state.name = name;
        log_state.lossy = lossy;
        log_state.journal = getenv("JOURNAL_STREAM") != NULL;
        log_state.kind = fstat(STDERR_FILENO, &status) < 0 ? LOG_KIND_OTHER
                         : S_ISREG(status.st_mode)         ? LOG_KIND_FILE
                         : S_ISSOCK(status.st_mode)        ? LOG_KIND_SOCKET
                                                           : LOG_KIND_OTHER;
}

void log_set_batched(bool batched) {
        log_state.batched = batched;
        if (!batched)
                log_flush();
}

void log_set_max_level(LogLevel level) {
        log_state.max_level = level;
}

/*
 * Return: false if it was not taken, since it would have to wait. It is no longer than what a pipe takes in one piece, so
 * POLLOUT promises that the write does not block, and a socket takes all of it or nothing.
 */
static bool log_output(const char *data, size_t n) {
        struct pollfd poll_fd = { .fd = STDERR_FILENO, .events = POLLOUT };
        ssize_t r;

        if (log_state.lossy && log_state.kind == LOG_KIND_OTHER &&
            (poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & POLLOUT)))
                return false;
        do
                r = log_state.lossy && log_state.kind == LOG_KIND_SOCKET
                            ? send(STDERR_FILENO, data, n, MSG_DONTWAIT | MSG_NOSIGNAL)
                            : write(STDERR_FILENO, data, n);
        while (r < 0 && errno == EINTR);
        return r >= 0 || errno != EAGAIN;
}

static size_t log_format(char *record, LogLevel level, const char *format, va_list arguments) _printf_(3, 0);
static size_t log_format(char *record, LogLevel level, const char *format, va_list arguments) {
        int n, n_prefix;

        n_prefix = log_state.journal ? snprintf(record, LOG_RECORD_MAX, "<%d>", (int)level)
                                     : snprintf(record, LOG_RECORD_MAX, "%s: ", log_state.name);
        if (n_prefix < 0 || n_prefix >= LOG_RECORD_MAX - 1)
                return 0;
        n = vsnprintf(record + n_prefix, LOG_RECORD_MAX - (size_t)n_prefix - 1, format, arguments);
        if (n < 0)
                return 0;
        n += n_prefix;
        if (n > LOG_RECORD_MAX - 2)
                n = LOG_RECORD_MAX - 2;
        record[n++] = '\n';
        return (size_t)n;
}

static size_t log_format_args(char *record, LogLevel level, const char *format, ...) _printf_(3, 4);
static size_t log_format_args(char *record, LogLevel level, const char *format, ...) {
        va_list arguments;
        size_t n;

        va_start(arguments, format);
        n = log_format(record, level, format, arguments);
        va_end(arguments);
        return n;
}

static void log_emit(const char *data, size_t n, unsigned long n_records) {
        if (log_state.n_dropped > 0) {
                char record[LOG_RECORD_MAX];
                size_t n_record =
                        log_format_args(record, LOG_LEVEL_WARNING,
                                        "%lu log records were lost: nobody read standard error", log_state.n_dropped);

                if (log_output(record, n_record))
                        log_state.n_dropped = 0;
        }
        if (log_state.n_dropped > 0 || !log_output(data, n))
                log_state.n_dropped += n_records;
}

void log_flush(void) {
        int saved = errno;

        if (log_state.n_records > 0)
                log_emit(log_batch, log_state.n, log_state.n_records);
        log_state.n = 0;
        log_state.n_records = 0;
        errno = saved;
}

void log_write(LogLevel level, const char *format, ...) {
        char record[LOG_RECORD_MAX];
        int saved = errno;
        va_list arguments;
        size_t n;

        if (level > log_state.max_level)
                return;
        va_start(arguments, format);
        n = log_format(record, level, format, arguments);
        va_end(arguments);
        if (!log_state.batched || level < LOG_LEVEL_INFO || log_state.n + n > sizeof(log_batch))
                log_flush();
        if (!log_state.batched || level < LOG_LEVEL_INFO) {
                log_emit(record, n, 1);
        } else {
                memcpy(log_batch + log_state.n, record, n);
                log_state.n += n;
                ++log_state.n_records;
        }
        errno = saved;
}
