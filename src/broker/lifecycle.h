/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and stopping domains. The supervisor does it; when it is done is decided here:
 *
 *   HALTED -- a call needs it, or somebody asks --> STARTING -- link is up --> RUNNING
 *     ^                                                |                          |
 *     |<--------- it failed, or time is up ------------'                          |
 *     |<-- link is lost -- STOPPING <-- somebody asks, or nobody called for long -|
 *     |                        '------- it failed, or time is up --> RUNNING      |
 *     '<------------------------- link is lost -----------------------------------'
 *
 * Calls that come while a domain starts or stops wait. One whose start failed is not started again for a while: what a
 * caller does must not keep the supervisor busy. An administrator who asks for it is not held up by that.
 *
 * `idle_timeout`: a domain that runs, in which no call has run and which has made none for so long, is stopped. That is
 * known from its agent's CALL_LIST on, so it cannot happen before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Domain Domain;
typedef struct Served Served;

/** How long a domain may take to start: a container or a small virtual machine does it in less. */
#define LIFECYCLE_START_USEC (UINT64_C(60) * 1000000)
/** How long it may take to stop: the supervisor's limit for a command, and some time to tell. */
#define LIFECYCLE_STOP_USEC (UINT64_C(65) * 1000000)
/** How long its link may still be up when that is done: a command may have left it to the container to end. */
#define LIFECYCLE_STOPPED_USEC (UINT64_C(15) * 1000000)
/** After a failed start, doubled with each that follows. */
#define LIFECYCLE_BACKOFF_MIN_USEC (UINT64_C(1) * 1000000)
#define LIFECYCLE_BACKOFF_MAX_USEC (UINT64_C(60) * 1000000)
/**
 * So long after our own start a domain with a `start` command is given to reconnect, before that command is run: it may
 * be up, and know us not yet.
 */
#define LIFECYCLE_RECONNECT_USEC (UINT64_C(2) * 1000000)
/** Who may wait at a time for one domain to have started or stopped. */
#define LIFECYCLE_WAITERS_MAX 8

typedef struct LifecycleWaiter {
        Served *served; /* NULL: none; also once it has hung up */
        bool for_stop;
} LifecycleWaiter;

/** Part of each domain. */
typedef struct Lifecycle {
        sd_event_source *deadline; /* STARTING, STOPPING */
        sd_event_source *idle;     /* RUNNING with an idle_timeout */
        uint64_t idle_usec;        /* when the last call here ended */
        bool start_wanted;         /* STOPPING: to be started again */
        unsigned n_failures;       /* starts that failed, in a row */
        uint64_t failed_usec;      /* the last of them */
        LifecycleWaiter waiters[LIFECYCLE_WAITERS_MAX];
} Lifecycle;

enum {
        _LIFECYCLE_E_SUCCESS,
        LIFECYCLE_E_BACKOFF, /* it could not be started a moment ago */
        LIFECYCLE_E_FULL,    /* too many wait already */
};

/**
 * lifecycle_start() - have the supervisor start it, unless that is under way or it runs
 * @by_hand: an administrator asks
 *
 * Its waiting calls go on when the link is up, and are refused when it fails or takes too long.
 * Return: 0, LIFECYCLE_E_BACKOFF (never if @by_hand), or a negative error.
 */
int lifecycle_start(Domain *domain, bool by_hand);

/** lifecycle_stop() - have the supervisor stop it, unless that is under way or it does not run. Return: 0 or a negative error */
int lifecycle_stop(Domain *domain);

/** lifecycle_wait() - @served is answered when it has started, or stopped. Return: 0, LIFECYCLE_E_FULL, or a negative error */
int lifecycle_wait(Domain *domain, Served *served, bool for_stop);

/** lifecycle_on_link_up() - the domain is RUNNING now. Return: 0 or a negative error */
int lifecycle_on_link_up(Domain *domain);
/** lifecycle_on_link_lost() - the domain is HALTED now. Return: 0 or a negative error */
int lifecycle_on_link_lost(Domain *domain);
/** lifecycle_on_ended() - told by the supervisor: its agent is gone, or it could not be started. Return: 0 or a negative error */
int lifecycle_on_ended(Domain *domain, unsigned status);
/** lifecycle_on_stopped() - told by the supervisor: the stop that was asked for is done. Return: 0 or a negative error */
int lifecycle_on_stopped(Domain *domain, unsigned status);
/** lifecycle_on_call_ended() - one call less has to do with this domain */
void lifecycle_on_call_ended(Domain *domain);
/** lifecycle_on_config() - the inventory may say something else now. Return: 0 or a negative error */
int lifecycle_on_config(Domain *domain);
/** lifecycle_on_removed() - the domain is no more: refuse and answer whoever waits. Return: 0 or a negative error */
int lifecycle_on_removed(Domain *domain);

/** lifecycle_deinit() - forget its timers; who waits is not told */
void lifecycle_deinit(Lifecycle *lifecycle);
