/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that ends in the broker: a management service (broker/management.h). The caller has one end of a framed
 * stream, we have the other and play the service on it. Whatever the caller sends is read and dropped; the answer is
 * short and goes out without waiting, or waits in a buffer of ours.
 *
 *   WAITING -- the answer is known --> ANSWERED -- the caller has closed, 10 s --> freed
 *      '-- hang-up --> freed
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Broker Broker;
typedef struct Domain Domain;
typedef struct Served Served;

/** Longest answer: a question that has a longer one is asked in pieces. */
#define SERVED_ANSWER_MAX 65536
/** How long the caller may take to fetch its answer. */
#define SERVED_USEC (UINT64_C(10) * 1000000)

enum {
        _SERVED_E_SUCCESS,
        SERVED_E_LIMIT, /* out of descriptors */
};

/**
 * served_new() - begin one; it frees itself, and writes the end record of the call
 * @service: NAME or NAME+ARGUMENT, for the record
 * @is_recorded: its start has a record, so its end gets one
 * @ret_fd:  the caller's end; the caller's to close
 *
 * Return: 0, SERVED_E_LIMIT, or a negative error.
 */
int served_new(Broker *broker, uint32_t id, Domain *source, const char *service, bool is_recorded, Served **ret_served,
               int *ret_fd);

/**
 * served_answer() - the answer is known; may free it
 * @data:   standard output, at most SERVED_ANSWER_MAX
 * @status: the exit code
 *
 * Return: 0 or a negative error.
 */
int served_answer(Served *served, const void *data, size_t n, int status);

/**
 * served_wait() - the answer will come later
 * @place:   where the pointer to it is kept: set to it now, and to NULL when it is answered or ends by itself
 * @usec:    how long that may take
 * @on_late: answers it then
 *
 * Return: 0 or a negative error.
 */
int served_wait(Served *served, Served **place, uint64_t usec, int (*on_late)(Served *served));

/** served_free_all() - at the end of the broker */
void served_free_all(Broker *broker);
