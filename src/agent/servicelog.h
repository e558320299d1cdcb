/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a service: what it writes to stderr, line by line, under the name DESCRIPTOR-SOURCE (protocol
 * specification, 6.12). Records go to the journal, or else to syslog, or else to our own standard error.
 *
 * Nobody waits for a log: a record that cannot be taken at once is dropped and counted, and the count is logged when
 * there is room again. Text is escaped (base/escape.h): a service cannot forge records or move a cursor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "wire/command.h"

#define SERVICELOG_JOURNAL "/run/systemd/journal/socket"
#define SERVICELOG_SYSLOG  "/dev/log"

/** A longer line becomes several records. */
#define SERVICELOG_LINE_MAX 1024
/** Longest DESCRIPTOR-SOURCE, after escaping; the rest is cut. */
#define SERVICELOG_NAME_MAX 255

typedef enum ServicelogKind {
        SERVICELOG_KIND_UNKNOWN, /* nothing was written yet, so nothing was opened */
        SERVICELOG_KIND_JOURNAL, /* the native protocol, one datagram a record */
        SERVICELOG_KIND_SYSLOG,  /* RFC 3164, one datagram a record */
        SERVICELOG_KIND_STDERR,  /* base/log.h */
} ServicelogKind;

/** Where records go: one for all services of a process. */
typedef struct ServicelogSink {
        ServicelogKind kind;
        int fd;
        struct sockaddr_un address;
        socklen_t n_address;
        const char *journal, *syslog;
} ServicelogSink;

#define SERVICELOG_SINK_INIT ((ServicelogSink){ .fd = -1 })

/**
 * servicelog_sink_init() - nothing is opened before the first record
 * @journal, @syslog: SERVICELOG_JOURNAL, SERVICELOG_SYSLOG, or what a test puts in their places; not owned
 */
void servicelog_sink_init(ServicelogSink *sink, const char *journal, const char *syslog);

/** servicelog_sink_deinit() - close it; harmless when repeated */
void servicelog_sink_deinit(ServicelogSink *sink);

/** The log of one call. It is small: a line is kept only while its end has not come. */
typedef struct Servicelog {
        ServicelogSink *sink; /* NULL: nothing is logged */
        uint32_t call_id;
        unsigned long n_dropped;
        char *name;
        char *line; /* NULL, or SERVICELOG_LINE_MAX bytes */
        size_t n_line;
} Servicelog;

/**
 * servicelog_init() - prepare a log
 * @sink:    must outlive it
 * @command: a service call, for the name
 *
 * Where there is no memory, nothing is logged.
 */
void servicelog_init(Servicelog *log, ServicelogSink *sink, const Command *command, uint32_t call_id);

/** servicelog_write() - take @n bytes as they come; whole lines are logged. Never blocks, never fails */
void servicelog_write(Servicelog *log, const void *untrusted_data, size_t n);

/** servicelog_deinit() - log a last line without its end, and what was dropped; harmless when repeated */
void servicelog_deinit(Servicelog *log);
