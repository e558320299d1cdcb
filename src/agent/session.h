/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the session of the domain's user (protocol specification, 6.11): the first call whose configuration says
 * wait-for-session starts the service qubes.WaitForSession; this one and those that come meanwhile start when it has
 * ended, however it ended.
 *
 *   IDLE -- a call needs the session --> WAITING -- the program ended --> IDLE, and all calls that waited are given back
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/service.h"

#define SESSION_SERVICE "qubes.WaitForSession"
/** Calls that wait; one more is started at once (3.11). */
#define SESSION_WAITERS_MAX 256

enum {
        _SESSION_E_SUCCESS,
        SESSION_E_NONE, /* nothing to wait for: start the call now */
};

/** Embedded in what waits. */
typedef struct SessionWaiter {
        struct SessionWaiter *next;
} SessionWaiter;

typedef struct Session {
        const ServiceSettings *settings;
        int pidfd; /* the program; -1: IDLE */
        SessionWaiter *first, **last;
        size_t n_waiters;
} Session;

/** session_init() - *@session must not move afterwards */
void session_init(Session *session, const ServiceSettings *settings);

/** session_deinit() - forget the program, which runs on, and those that wait; harmless when repeated */
void session_deinit(Session *session);

/**
 * session_may_be_wanted() - the same, for one that is not resolved: nothing is logged, and nothing but its configuration read
 * @text: the command
 */
bool session_may_be_wanted(const ServiceSettings *settings, const char *text);

/** session_is_wanted() - does this call, resolved, want to wait at all? */
bool session_is_wanted(const Service *service);

/**
 * session_wait() - let a call wait, and start the program if it does not run
 * @service: the call, resolved
 * @waiter:  in the call; must live until session_next() gives it back, or session_deinit()
 * @ret_started: the program was started: wait until pidfd is readable
 *
 * Return: 0 or SESSION_E_NONE: the call does not want it, says "nogui:", there is no such program, or too many wait.
 */
int session_wait(Session *session, const Service *service, SessionWaiter *waiter, bool *ret_started);

/** session_on_exit() - pidfd is readable: reap the program, close pidfd. Return: 0 or a negative error */
int session_on_exit(Session *session);

/** session_next() - IDLE: take one that waited, in their order; NULL: no more */
SessionWaiter *session_next(Session *session);
