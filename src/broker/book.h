/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open calls, written where they outlive the broker: in memory that the supervisor made and gives to each broker
 * that it starts. So the broker that comes after one that died knows what was open, and every start has its end in the
 * audit. It is read once, when a broker begins; the call table (broker/call.h) is the truth while one runs.
 *
 * At its end are the records that are not written yet (broker/spool.h).
 *
 * What is in it came from our own account, but perhaps from a broker that was broken or stopped in the middle of a
 * write: each entry is checked like any other foreign bytes, and what makes no sense is dropped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "broker/spool.h"

typedef struct Book Book;

/** NAME, a plus sign and the beginning of the argument, with a NUL. */
#define BOOK_SERVICE_SIZE 516

typedef struct BookEntry {
        uint32_t call;  /* its id */
        bool is_sent;   /* its agent may have been told of it; else it never ran */
        bool is_served; /* the broker itself answers it (broker/served.h); nobody else will know of its end */
        DomainName source, relay, target;
        RequestName target_name; /* as in Call */
        uint64_t start_usec;     /* CLOCK_MONOTONIC, which brokers of one boot share */
        size_t n_argument;
        char service[BOOK_SERVICE_SIZE];
} BookEntry;

enum {
        _BOOK_E_SUCCESS,
        BOOK_E_INVALID, /* no memory that a supervisor would give */
};

/** book_put(): there is no room; the call is open all the same. */
#define BOOK_NONE UINT32_MAX

/** book_new() - @fd is owned from here on, also on failure. Return: 0, BOOK_E_INVALID, or a negative error */
int book_new(int fd, Book **ret_book);
/** book_free() - what is written stays; accepts NULL. Return: NULL */
Book *book_free(Book *book);
DEFINE_CLEANUP(Book *, book_free)

/** book_spool() - the records that are not written yet are in the same memory. Return: borrowed */
Spool *book_spool(Book *book);

/** book_n_places() - places are 0 to one less than this */
uint32_t book_n_places(const Book *book);
/** book_read() - Return: whether there is an entry at @place that makes sense */
bool book_read(const Book *book, uint32_t place, BookEntry *ret_entry);

/** book_put() - Return: its place, or BOOK_NONE */
uint32_t book_put(Book *book, const BookEntry *entry);
/** book_set_sent() - before its agent is told; harmless on BOOK_NONE, and without a book */
void book_set_sent(Book *book, uint32_t place);
/** book_remove() - likewise */
void book_remove(Book *book, uint32_t place);
/** book_forget() - the call of an earlier broker whose end is recorded; harmless if there is none */
void book_forget(Book *book, uint32_t call);
