/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that a process runs, whoever orders them: each in the way that its service and its data ask for.
 *
 *   direct, a program                     agent/direct.h: it has the caller's pipes
 *   direct, a socket                      agent/carrier.h: the kernel moves the data
 *   framed, or a program with direct=no   agent/handler.h: a process of its own
 *   a caller that is to be dialled        likewise (only where ServiceSettings has a place)
 *   a program, and there is a fork server agent/handover.h: that one starts it
 *   wait-for-session                      agent/session.h: likewise, but later
 *
 * The owner's loop: runner_settle(), tell the ends that are queued in @calls (ended_first) to whom they concern,
 * runner_wait(), and each event that is not its own to runner_on_event().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "agent/calls.h"
#include "agent/carrier.h"
#include "agent/direct.h"
#include "agent/handover.h"
#include "agent/order.h"
#include "agent/service.h"
#include "agent/session.h"
#include "agent/watch.h"

enum {
        _RUNNER_E_SUCCESS,
        RUNNER_E_EXISTS, /* a call with this id is in the table: its end, told under this id, would be taken for that one's */
        RUNNER_E_FULL, /* there is no room for another call */
};

/** It must not move. */
typedef struct Runner {
        const ServiceSettings *settings; /* not owned */
        WatchSet watches;
        Calls calls;
        DirectTable direct;
        CarrierTable carriers;
        Handover handover;
        Session session;
        bool waits_for_session; /* the owner wants that; else whoever sent the orders has waited */
        int signal_fd;
        int report_read_fd, report_write_fd; /* all handlers write into one pipe */
        Watch signal_watch, report_watch, session_watch;
        bool stopping; /* SIGTERM or SIGINT came, and the owner left it to runner_on_event(); or it says so itself */
} Runner;

/** runner_init() - takes SIGTERM and SIGINT over as events, ignores SIGPIPE. Return: 0 or a negative error */
int runner_init(Runner *runner, const ServiceSettings *settings);

/**
 * runner_deinit() - the process ends, what it has started does not
 *
 * Callers of programs find their status streams closed. What is left to do for open calls (to read a stderr, to carry the
 * data of a socket) is done by a process that is forked here and ends with the last of them. Whatever it should not inherit
 * must be closed before. Harmless when repeated.
 */
void runner_deinit(Runner *runner);

/** What came with an order. */
typedef struct RunnerData {
        int *fds; /* those that are taken become -1; the others stay the owner's */
        size_t n_fds;
        bool lost_fds; /* there were more */
} RunnerData;

/**
 * runner_start() - run a call
 * @settings: as they are for this call; NULL: the runner's
 * @order:    ORDER_TYPE_EXEC
 * @data:     if it is not what the order's mode asks for, the call ends with 125
 *
 * Return: 0: it is in @calls, running or ended already; RUNNER_E_…: it is not, and its caller has been told 125; or a
 * negative error.
 */
int runner_start(Runner *runner, const ServiceSettings *settings, const Order *order, const RunnerData *data);

/** runner_kill() - CALL_KILL: nothing if the call has ended. Return: 0 or a negative error */
int runner_kill(Runner *runner, uint32_t call_id);
/** runner_kill_all() - the same, for every call that runs. Return: 0 or a negative error */
int runner_kill_all(Runner *runner);

/** runner_settle() - after all events that were taken together: do what is due, forget what is over */
void runner_settle(Runner *runner);

/**
 * runner_wait() - wait for events, until something is due, or @deadline_usec
 * @ret_n: how many of @events, n_max, there are; may be 0
 *
 * Return: 0 or a negative error.
 */
int runner_wait(Runner *runner, uint64_t deadline_usec, struct epoll_event *events, int n_max, int *ret_n);

/** runner_on_event() - for every event whose watch is not one of the owner's. Return: 0 or a negative error */
int runner_on_event(Runner *runner, const struct epoll_event *event);

/** runner_take_signal() - for an owner that looks at @signal_watch itself. Return: was there a SIGTERM or SIGINT? */
bool runner_take_signal(Runner *runner);
