/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit: every call has one record at its start and one at its end, every refused request has one. They go to the
 * journal, or to a file of JSON lines, whichever the supervisor gave us; the line for people also goes to the log,
 * unless the journal has it already.
 *
 * Records are written when the work that made them is done (audit_settle()), so that no caller waits for one, and those of
 * one turn of the loop go together.
 *
 * Nothing waits for a record to be written, and none is dropped: what cannot be written at once is queued, and counts
 * against the domain that made the call. Where a domain has AUDIT_QUEUE_MAX bytes waiting, or a write failed outright
 * (a full disk, no journal), new calls are refused until that is over, and then one record says how many there were. (Root's questions to the broker, which change
 * nothing but by ending calls, are answered meanwhile, and counted likewise.)
 * The ends of calls that run are always queued: they are as many as the calls.
 *
 * What is queued outlives a broker that dies (broker/spool.h), as far as there is room, and is the first that the next one writes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "broker/record.h"
#include "wire/supervise.h"

typedef struct Audit Audit;
typedef struct Book Book;
typedef struct Broker Broker;
typedef struct Domain Domain;

/** Bytes of records of one domain that may wait: some hundred calls, while the journal is busy. */
#define AUDIT_QUEUE_MAX (256 * 1024)

/** audit_new() - an audit without a place to write: it admits nothing. Return: 0 or a negative error */
int audit_new(Broker *broker, Audit **ret_audit);
/** audit_free() - writes what can be written at once; accepts NULL. Return: NULL */
Audit *audit_free(Audit *audit);
DEFINE_CLEANUP(Audit *, audit_free)

/**
 * audit_set_book() - keep there what is not written yet, and go on with what an earlier broker left
 *
 * Before anything else is recorded, and before a sink is set. Return: 0 or a negative error.
 */
int audit_set_book(Audit *audit, Book *book);

/** audit_set_sink() - write there from now on; @fd is owned from here on, also on failure. Return: 0 or -errno */
int audit_set_sink(Audit *audit, SuperviseAudit kind, int fd);

/** audit_admits() - may a new call of @source begin? If not, audit_count_lost() it */
bool audit_admits(const Audit *audit, const Domain *source);
/** audit_count_lost() - a request of @source has no record */
void audit_count_lost(Audit *audit, Domain *source);

/**
 * audit_write() - record
 * @payer: whose queue it waits in; its source, or where nobody knows that, its target
 *
 * The time is added here. Return: 0 or a negative error.
 */
int audit_write(Audit *audit, Domain *payer, Record *record);

/**
 * audit_settle() - write what came since the last time
 * @ret_waits: not all of it could be written, and a timer or the journal's socket will say when to go on
 *
 * Return: 0 or a negative error.
 */
int audit_settle(Audit *audit, bool *ret_waits);

/** audit_sink_name() - "journal", "file", "none". */
const char *audit_sink_name(const Audit *audit);
/** audit_problem() - what keeps records from being written, or NULL. Return: borrowed until the next event */
const char *audit_problem(const Audit *audit);
/** audit_n_queued() - records that wait */
size_t audit_n_queued(const Audit *audit);
