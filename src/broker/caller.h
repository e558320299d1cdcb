/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a trigger socket: a request comes in, one answer goes out, the connection is closed
 * (protocol specification, 4.1); or, where the request said so, it waits for the next request (doc/protocol.md, 4.2).
 *
 *   READING -- a whole trigger --> WAITING -- the answer --> freed, or RESTING -- a first byte --> READING
 *      |                              |                                 |
 *      '-- anything else, 10 s --> freed '-- hang-up: the call is cancelled --> freed
 *
 * A connection counts against its domain's limit as long as it exists, so a resting one costs its caller and nobody else.
 * Whose it is was decided when it was made; a domain that is removed meanwhile is refused.
 *
 * The request is left in the socket until its agent is about to be told, or its refusal. Where the broker dies before, the
 * kernel tells the caller that nobody read it, and the caller asks the next broker.
 */
#pragma once

#include <stdint.h>

typedef struct Broker Broker;
typedef struct Domain Domain;

/** How long a request may take to arrive, from the connection or its first byte: it is one small write of a local program. */
#define CALLER_READ_USEC (UINT64_C(10) * 1000000)

/**
 * caller_new() - serve a connection; it frees itself
 * @domain: who it is, or the broker's strangers, which are answered "not a domain"
 * @fd:     non-blocking; owned from here on, also on failure
 *
 * Return: 0 or a negative error.
 */
int caller_new(Broker *broker, Domain *domain, int fd);
