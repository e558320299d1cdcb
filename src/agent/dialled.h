/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of an agent whose daemon is one of upstream's kind (protocol specification, 3.11): for each a handler, a process that dials the
 * caller and carries the data. Every order gets one, also one that cannot be carried out: so that the caller is told
 * instead of waiting for nobody.
 *
 *   (WAITING for the session, agent/session.h) --> RUNNING -- its handler ended --> the daemon is told --> freed
 */
#pragma once

#include <stdint.h>

#include "agent/daemonorder.h"
#include "agent/handover.h"
#include "agent/medium.h"
#include "agent/service.h"
#include "agent/session.h"
#include "agent/vchanwatch.h"

enum {
        _DIALLED_E_SUCCESS,
        DIALLED_E_FAILED, /* there is no handler; it has been logged */
        DIALLED_E_RUNS,   /* it has not ended yet */
};

typedef struct DialledCall {
        VchanWatch watch; /* of pidfd, or of handed_fd */
        SessionWaiter waiter;
        uint32_t id; /* ours, for the log */
        ExecParams params;
        bool just_exec;
        char *text;       /* the command */
        uint64_t control; /* which control connection it belongs to: another daemon has other ports */
        int pidfd;        /* RUNNING: the handler; -1: a fork server has it */
        int handed_fd;    /* RUNNING: the connection to that one; -1: none has it */
        struct DialledCall *previous, *next;
} DialledCall;

typedef struct DialledCalls {
        const ServiceSettings *settings; /* not owned, as @medium */
        const Medium *medium;
        int epoll_fd; /* not owned */
        Handover handover;
        DialledCall *first;
        uint32_t last_id;
} DialledCalls;

#define DIALLED_CALLS_INIT(_settings, _medium, _epoll_fd)                         \
        ((DialledCalls){                                                          \
                .settings = (_settings),                                          \
                .medium = (_medium),                                              \
                .epoll_fd = (_epoll_fd),                                          \
                .handover = { .path = (_settings)->fork_server, .spare_fd = -1 }, \
        })

/** dialled_calls_deinit() - forget all calls; what runs goes on */
void dialled_calls_deinit(DialledCalls *calls);

/** dialled_calls_add() - a new call that nothing has been done for; the table owns it. Return: 0 or a negative error */
int dialled_calls_add(DialledCalls *calls, const DaemonOrder *order, uint64_t control, DialledCall **ret_call);

/** dialled_calls_remove() - free a call without a handler */
void dialled_calls_remove(DialledCalls *calls, DialledCall *call);

/**
 * dialled_calls_start() - fork its handler, or give it to the fork server if there is one (6.10)
 * @service: what it asks for, resolved, or
 * @r:       what service_resolve() said, for the caller to be told
 *
 * Return: 0 or DIALLED_E_FAILED.
 */
int dialled_calls_start(DialledCalls *calls, DialledCall *call, const Service *service, int r);

/** dialled_calls_reap() - what is watched is readable. Return: 0 (ended: remove it), DIALLED_E_RUNS, or a negative error */
int dialled_calls_reap(DialledCalls *calls, DialledCall *call);
