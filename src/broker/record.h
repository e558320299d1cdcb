/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One audit record as bytes: a line of JSON, or a datagram for the journal (the two have the same fields: qair-audit(7)).
 * Pure: no socket, no clock, no allocation. Every text is escaped here, whoever it came from, so that no domain can
 * forge a field, a line, or what a terminal shows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum RecordEvent {
        RECORD_EVENT_START,   /* a call was allowed and begins */
        RECORD_EVENT_END,     /* it is over; every start has one */
        RECORD_EVENT_REFUSED, /* a request was refused */
        RECORD_EVENT_LOST,    /* there were requests whose records could not be written */
        _RECORD_EVENT_N,
} RecordEvent;

/** Where the time of a call goes. */
typedef enum Stage {
        STAGE_DECIDE,  /* inventory and policy */
        STAGE_ASK,     /* a person */
        STAGE_START,   /* until the target's agent was there */
        STAGE_CONNECT, /* until both ends were given away */
        STAGE_RUN,     /* the service */
        _STAGE_N,
} Stage;

/** stage_name() - "decide", … */
const char *stage_name(Stage stage);

/** A stage that the call did not reach. */
#define STAGE_NONE UINT64_MAX

/** Longest argument that a record has whole. A longer one is cut, and its length said. */
#define RECORD_ARGUMENT_MAX 4096
/** Longest of the other texts, escaped; what is beyond is cut. */
#define RECORD_TEXT_MAX 1024
/** Longest message, with its NUL. */
#define RECORD_MESSAGE_MAX 3072
/** Room for every record: the argument and 15 other texts at their longest, twice for JSON's own escapes; the rest. */
#define RECORD_SIZE_MAX (2 * RECORD_ARGUMENT_MAX + 15 * 2 * RECORD_TEXT_MAX + 4096)

/** A datagram in JSON: of its bytes, the newlines, quotes and backslashes double and more. */
#define RECORD_CONVERTED_MAX (3 * RECORD_SIZE_MAX + 64)

/** Texts that are NULL, and numbers that are -1 or STAGE_NONE, are left out. */
typedef struct Record {
        RecordEvent event;
        uint64_t realtime_usec;
        uint32_t call; /* its id; 0: it never got one */
        const char *source, *relay, *requested_source, *requested_target;
        const char *target, *via; /* via: the relay of a remote target */
        const char *service;      /* NAME or NAME+ARGUMENT */
        size_t n_argument;        /* if @service was cut: length of the whole argument; else 0 */
        const char *decision;     /* "allow", "deny" */
        const char *rule;         /* FILE:LINE */
        const char *asked;        /* the GUI domain whose person was asked */
        uint32_t grant;           /* what they said before, and that decided; 0: nothing */
        const char *reason;       /* the whole truth */
        const char *told;         /* what the caller was told */
        const char *how;          /* how it ended */
        int status;
        long n_lost;
        uint64_t stage_usec[_STAGE_N];
        int priority;        /* as in syslog(3) */
        const char *message; /* the line for people; journal only */
} Record;

#define RECORD_INIT                                                                              \
        ((Record){ .status = -1,                                                                 \
                   .n_lost = -1,                                                                 \
                   .stage_usec = { STAGE_NONE, STAGE_NONE, STAGE_NONE, STAGE_NONE, STAGE_NONE }, \
                   .priority = 6 })

/** record_json() - one line, with its newline. Return: its length */
size_t record_json(const Record *record, char buffer[static RECORD_SIZE_MAX]);

/**
 * record_convert() - a record that waits, for another kind of place than it was made for (the journal came or went)
 * @from_json: what it is; it becomes the other
 *
 * Nothing of it is lost: a line of JSON becomes the MESSAGE of a datagram, a datagram the one text of a line.
 * Return: the length in @buffer.
 */
size_t record_convert(bool from_json, const char *data, size_t n, char buffer[static RECORD_CONVERTED_MAX]);

/** record_journal() - a datagram of the journal's native protocol. Return: its length */
size_t record_journal(const Record *record, char buffer[static RECORD_SIZE_MAX]);
