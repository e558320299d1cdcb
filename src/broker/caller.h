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

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Broker Broker;
typedef struct Domain Domain;

/** How long a request may take to arrive, from the connection or its first byte: it is one small write of a local program. */
#define CALLER_READ_USEC (UINT64_C(10) * 1000000)

/** Domains that are served in one turn of the loop, one connection each: then links and others have theirs. */
#define CALLER_TURNS_MAX 16

/**
 * Where connections come faster than they are served, each domain has its own queue, and domains take turns: whoever calls
 * seldom waits for one call of each of the others, not for all calls of all.
 */
typedef struct CallerTurns {
        Domain *first, **last; /* with connections in their queue, in the order of their turns */
        sd_event_source *source;
} CallerTurns;

/** caller_turns_init() - nobody waits. Return: 0 or a negative error */
int caller_turns_init(CallerTurns *turns, Broker *broker);
/** caller_turns_deinit() - close what was not looked at; harmless on what is empty */
void caller_turns_deinit(CallerTurns *turns);
/** caller_turns_wait() - is there a connection that was not looked at? */
static inline bool caller_turns_wait(const CallerTurns *turns) {
        return turns->first;
}

/**
 * caller_new() - serve a connection; it frees itself
 * @domain:  who it is, or the broker's strangers, which are answered "not a domain"
 * @fd:      non-blocking; owned from here on, also on failure
 * @is_busy: more are there, so it waits for its domain's turn; else it is looked at now
 *
 * Return: 0 or a negative error.
 */
int caller_new(Broker *broker, Domain *domain, int fd, bool is_busy);
