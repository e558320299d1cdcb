/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a trigger socket: a request comes in, one answer goes out, the connection is closed
 * (protocol specification, 4.1).
 *
 *   READING -- a whole trigger --> WAITING -- the answer --> freed
 *      |                              |
 *      '-- anything else, 10 s --> freed '-- hang-up: the call is cancelled --> freed
 */
#pragma once

#include <stdint.h>

typedef struct Broker Broker;
typedef struct Domain Domain;

/** How long a request may take to arrive: it is one small write of a local program. */
#define CALLER_READ_USEC (UINT64_C(10) * 1000000)

/**
 * caller_new() - serve a connection; it frees itself
 * @domain: who it is, or the broker's strangers, which are answered "not a domain"
 * @fd:     non-blocking; owned from here on, also on failure
 *
 * Return: 0 or a negative error.
 */
int caller_new(Broker *broker, Domain *domain, int fd);
