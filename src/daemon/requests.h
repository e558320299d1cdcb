/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of one domain that are being decided (protocol specification, 3.5). Each has a worker, a process that asks
 * the policy and acts on its answer.
 *
 *   UNDECIDED -- its ident is connected by a client --> ALLOWED
 *      |                                                   |
 *      `--- worker ended: 0, or refused ---> freed <-------' worker ended
 *
 * When the agent is gone they are forgotten: their workers go on, and nobody is told.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "wire/refusal.h"

/** Requests at a time. */
#define REQUESTS_MAX 256

typedef enum RequestState {
        REQUEST_STATE_UNDECIDED,
        REQUEST_STATE_ALLOWED,
        REQUEST_STATE_FORGOTTEN,
} RequestState;

typedef struct Request {
        RequestState state;
        Ident ident;
        int pidfd; /* the worker; owned */
        struct Request *previous, *next;
} Request;

typedef struct Requests {
        Request *first, *last; /* in the order of their coming */
        size_t n;              /* without those that are forgotten */
} Requests;

/** requests_deinit() - forget all; workers go on */
void requests_deinit(Requests *requests);

/** requests_add() - a new one, without a worker yet. Return: a borrowed pointer, NULL: there are too many, or no memory */
Request *requests_add(Requests *requests, const Ident *ident);

/** requests_find() - the oldest UNDECIDED one with this ident, or NULL */
Request *requests_find(const Requests *requests, const char *ident);

/** requests_forget() - the agent that asked is gone */
void requests_forget(Requests *requests);

/** requests_remove() - free one, and close its pidfd */
void requests_remove(Requests *requests, Request *request);
