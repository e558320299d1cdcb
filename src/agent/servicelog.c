/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/servicelog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"

/** LOG_USER | LOG_INFO of syslog(3). */
#define SERVICELOG_SYSLOG_PRIORITY 14
/** A whole record: the escaped line, and what stands around it. */
#define SERVICELOG_RECORD_MAX (ESCAPE_MAX(SERVICELOG_LINE_MAX) + SERVICELOG_NAME_MAX + 256)

void servicelog_sink_init(ServicelogSink *sink, const char *journal, const char *syslog) {
        *sink = (ServicelogSink){ .fd = -1, .journal = journal, .syslog = syslog };
}

void servicelog_sink_deinit(ServicelogSink *sink) {
        sink->fd = fd_close(sink->fd);
        sink->kind = SERVICELOG_KIND_UNKNOWN;
}

void servicelog_init(Servicelog *log, ServicelogSink *sink, const Command *command, uint32_t call_id) {
        char descriptor[SERVICELOG_NAME_MAX + 1], source[SERVICELOG_NAME_MAX + 1];
        char name[SERVICELOG_NAME_MAX + 1];

        escape(descriptor, sizeof(descriptor), command->descriptor.text, command->descriptor.n);
        escape(source, sizeof(source), command->source.text, command->source.n);
        /* The source is the half that nobody may lose: it is short, so the descriptor makes room for it. */
        snprintf(name, sizeof(name), "%.*s-%.127s", SERVICELOG_NAME_MAX - 128, descriptor, source);
        *log = (Servicelog){ .call_id = call_id, .name = strdup(name) };
        if (log->name)
                log->sink = sink;
}

static bool servicelog_open_socket(ServicelogSink *sink, ServicelogKind kind, const char *path) {
        if (access(path, W_OK) < 0 || socket_address(path, &sink->address, &sink->n_address))
                return false;
        sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (sink->fd < 0)
                return false;
        sink->kind = kind;
        return true;
}

static void servicelog_open(ServicelogSink *sink) {
        if (!servicelog_open_socket(sink, SERVICELOG_KIND_JOURNAL, sink->journal) &&
            !servicelog_open_socket(sink, SERVICELOG_KIND_SYSLOG, sink->syslog))
                sink->kind = SERVICELOG_KIND_STDERR;
}

static int servicelog_format_journal(const Servicelog *log, const char *text, char *record, size_t n_max) {
        /* No value has a newline (they are escaped), so the simple form of the protocol serves. */
        return snprintf(record, n_max, "PRIORITY=6\nSYSLOG_IDENTIFIER=%s\nQAIR_CALL_ID=%u\nMESSAGE=%s\n", log->name,
                        log->call_id, text);
}

static int servicelog_format_syslog(const Servicelog *log, const char *text, char *record, size_t n_max) {
        static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
        time_t now = time(NULL);
        struct tm tm = {};

        /* RFC 3164 wants English months whatever the locale. */
        localtime_r(&now, &tm);
        return snprintf(record, n_max, "<%d>%s %2d %02d:%02d:%02d %s: %s", SERVICELOG_SYSLOG_PRIORITY,
                        months[tm.tm_mon % 12], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, log->name, text);
}

/* One record. Sent to an address each time, not connected: a restarted journal is found again by itself. */
static bool servicelog_send(Servicelog *log, const char *text) {
        char record[SERVICELOG_RECORD_MAX];
        ssize_t sent;
        int n = -1;

        switch (log->sink->kind) {
        case SERVICELOG_KIND_JOURNAL:
                n = servicelog_format_journal(log, text, record, sizeof(record));
                break;
        case SERVICELOG_KIND_SYSLOG:
                n = servicelog_format_syslog(log, text, record, sizeof(record));
                break;
        case SERVICELOG_KIND_STDERR:
                log_info("call %u: %s: %s", log->call_id, log->name, text);
                return true;
        case SERVICELOG_KIND_UNKNOWN:
                return false;
        }
        if (n < 0 || (size_t)n >= sizeof(record))
                return false;
        do
                sent = sendto(log->sink->fd, record, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT,
                              (const struct sockaddr *)&log->sink->address, log->sink->n_address);
        while (sent < 0 && errno == EINTR);
        return sent >= 0;
}

static void servicelog_report_dropped(Servicelog *log) {
        char text[64];

        if (log->n_dropped == 0)
                return;
        snprintf(text, sizeof(text), "%lu lines were lost: the log took no more", log->n_dropped);
        if (servicelog_send(log, text))
                log->n_dropped = 0;
}

static void servicelog_flush(Servicelog *log, const char *line, size_t n_line) {
        char text[ESCAPE_MAX(SERVICELOG_LINE_MAX)];

        if (log->sink->kind == SERVICELOG_KIND_UNKNOWN)
                servicelog_open(log->sink);
        escape(text, sizeof(text), line, n_line);

        servicelog_report_dropped(log);
        if (log->n_dropped > 0 || !servicelog_send(log, text))
                ++log->n_dropped;
}

static void servicelog_flush_kept(Servicelog *log) {
        if (!log->line)
                return;
        servicelog_flush(log, log->line, log->n_line);
        free(log->line);
        log->line = NULL;
        log->n_line = 0;
}

/* The beginning of a line, or more of one. */
static void servicelog_keep(Servicelog *log, const char *data, size_t n) {
        if (n == 0)
                return;
        if (!log->line)
                log->line = malloc(SERVICELOG_LINE_MAX);
        if (!log->line) {
                ++log->n_dropped;
                return;
        }
        memcpy(log->line + log->n_line, data, n);
        log->n_line += n;
}

void servicelog_write(Servicelog *log, const void *untrusted_data, size_t n) {
        const char *data = untrusted_data;

        while (log->sink && n > 0) {
                const char *newline = memchr(data, '\n', n);
                size_t n_piece = newline ? (size_t)(newline - data) : n;
                size_t n_room = SERVICELOG_LINE_MAX - log->n_line;
                bool full = n_piece > n_room;

                /* Only what comes after a full line shows that it goes on. */
                if (full)
                        n_piece = n_room;
                if ((newline || full) && !log->line) {
                        servicelog_flush(log, data, n_piece);
                } else {
                        servicelog_keep(log, data, n_piece);
                        if (newline || full)
                                servicelog_flush_kept(log);
                }
                data += n_piece;
                n -= n_piece;
                if (newline && !full) {
                        ++data;
                        --n;
                }
        }
}

void servicelog_deinit(Servicelog *log) {
        if (log->sink) {
                servicelog_flush_kept(log);
                servicelog_report_dropped(log);
        }
        free(log->line);
        free(log->name);
        *log = (Servicelog){ .sink = NULL };
}
