/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit records that are not written yet, where they outlive the broker: in the memory of the book (broker/book.h). A
 * record is in it from the moment that it is made until it has been written, so a broker that dies in between takes none with
 * it: the next one writes it.
 *
 * A line of bytes that grows at its end and is taken from at its beginning, and begins anew whenever it is empty. What it is
 * at any moment is one word, written at once. Where there is no room a record is only in the broker's own memory.
 *
 * For a file it is also known how much of what is in it was written, so that nothing is there twice: where the first record
 * begins is noted before it is written. A datagram is sent, and forgotten a moment later: killed just then, the
 * journal has it twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/** Bytes that a spool takes: some thousand records. A multiple of 8. */
#define SPOOL_SIZE (512 * 1024)

/** A view of memory, which is not owned. */
typedef struct Spool {
        void *memory;
} Spool;

/** @data is borrowed: in the spool, until it changes. */
typedef struct SpoolRecord {
        uint32_t kind; /* for the reader of @data */
        uint32_t ends; /* the call whose end it is, or 0 */
        const char *data;
        size_t n;
} SpoolRecord;

/** spool_open() - @memory: SPOOL_SIZE bytes, aligned to 8. What makes no sense becomes empty */
void spool_open(Spool *spool, void *memory);

/** spool_read() - step through it; @at: 0 at first. Return: false: that was all */
bool spool_read(const Spool *spool, uint32_t *at, SpoolRecord *ret_record);

/** spool_put() - Return: false: no room */
bool spool_put(Spool *spool, const SpoolRecord *record);

/** spool_drop() - forget the first @n at once */
void spool_drop(Spool *spool, size_t n);

/**
 * spool_set_place() - before its first records are written to the file @status: the first begins at the byte @begin
 * @status: NULL: that will not be known
 */
void spool_set_place(Spool *spool, const struct stat *status, uint64_t begin);

/**
 * spool_written() - how many bytes of its records the file @status has already
 * @ret_is_exact: the file is as it was noted; else a record of which it has a part may have been cut off by somebody
 *
 * 0 if it is not the file that they were written to.
 */
uint64_t spool_written(const Spool *spool, const struct stat *status, bool *ret_is_exact);
