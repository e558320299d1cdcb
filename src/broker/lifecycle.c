/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/lifecycle.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/watch.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/domain.h"
#include "broker/management.h"
#include "broker/parent.h"
#include "broker/served.h"

/* What qair-monitor(8) ends with when a command took too long, or could not be run. */
#define LIFECYCLE_STATUS_LATE   124
#define LIFECYCLE_STATUS_FAILED 125

#define LIFECYCLE_PROBLEM_MAX 256

static int lifecycle_arm(Domain *domain, sd_event_source **source, uint64_t usec, sd_event_time_handler_t handler) {
        *source = sd_event_source_disable_unref(*source);
        return error_trace(watch_time(domain->broker->event, usec, USEC_PER_MSEC, handler, domain, source));
}

/* Whoever waits for what has come has it; the others are told why they will not. */
static int lifecycle_tell(Domain *domain, bool runs, const char *problem) {
        for (size_t i = 0; i < LIFECYCLE_WAITERS_MAX; ++i) {
                LifecycleWaiter *waiter = &domain->lifecycle.waiters[i];
                int r;

                if (!waiter->served || (!runs && !waiter->for_stop && domain->lifecycle.start_wanted))
                        continue;
                r = management_on_domain(waiter->served, domain, waiter->for_stop != runs ? NULL : problem);
                if (r)
                        return error_trace(r);
        }
        return 0;
}

static int lifecycle_on_start_failed(Domain *domain, const char *problem) {
        Lifecycle *lifecycle = &domain->lifecycle;
        int r;

        if (domain->state != DOMAIN_STATE_STARTING)
                return 0;
        lifecycle->deadline = sd_event_source_disable_unref(lifecycle->deadline);
        ++lifecycle->n_failures;
        lifecycle->failed_usec = clock_now();
        domain_set_state(domain, DOMAIN_STATE_HALTED);
        r = call_table_on_start_failed(&domain->broker->calls, domain);
        return r ? error_trace(r) : error_trace(lifecycle_tell(domain, false, problem));
}

static int lifecycle_on_start_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Domain *domain = userdata;

        log_error("domain %s: no agent appeared within %u s: see the log of its agent, and `qair domain check`",
                  domain->name.text, (unsigned)(LIFECYCLE_START_USEC / USEC_PER_SEC));
        return error_trace(lifecycle_on_start_failed(domain, "no agent appeared in time: see the log"));
}

static int lifecycle_on_reconnect_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Domain *domain = userdata;
        int r;

        r = parent_start(domain->broker->parent, &domain->name);
        if (r)
                return error_fold(r);
        return error_trace(
                lifecycle_arm(domain, &domain->lifecycle.deadline, LIFECYCLE_START_USEC, lifecycle_on_start_deadline));
}

static bool lifecycle_is_backing_off(const Lifecycle *lifecycle) {
        uint64_t pause = LIFECYCLE_BACKOFF_MIN_USEC;

        if (lifecycle->n_failures == 0)
                return false;
        for (unsigned i = 1; i < lifecycle->n_failures && pause < LIFECYCLE_BACKOFF_MAX_USEC; ++i)
                pause *= 2;
        if (pause > LIFECYCLE_BACKOFF_MAX_USEC)
                pause = LIFECYCLE_BACKOFF_MAX_USEC;
        return clock_now() - lifecycle->failed_usec < pause;
}

static int lifecycle_begin(Domain *domain) {
        uint64_t age = clock_now() - domain->broker->began_usec;
        int r;

        domain_set_state(domain, DOMAIN_STATE_STARTING);
        if (age < LIFECYCLE_RECONNECT_USEC && config_has_start_command(domain->broker->config, &domain->name))
                return error_trace(lifecycle_arm(domain, &domain->lifecycle.deadline, LIFECYCLE_RECONNECT_USEC - age,
                                                 lifecycle_on_reconnect_deadline));
        r = parent_start(domain->broker->parent, &domain->name);
        if (r)
                return error_fold(r);
        return error_trace(
                lifecycle_arm(domain, &domain->lifecycle.deadline, LIFECYCLE_START_USEC, lifecycle_on_start_deadline));
}

int lifecycle_start(Domain *domain, bool by_hand) {
        switch (domain->state) {
        case DOMAIN_STATE_STARTING:
        case DOMAIN_STATE_RUNNING:
        case _DOMAIN_STATE_N:
                return 0;
        case DOMAIN_STATE_STOPPING:
                domain->lifecycle.start_wanted = true;
                return 0;
        case DOMAIN_STATE_HALTED:
                break;
        }
        if (!by_hand && lifecycle_is_backing_off(&domain->lifecycle))
                return LIFECYCLE_E_BACKOFF;
        return error_trace(lifecycle_begin(domain));
}

/* It runs on: what waited for it to be started again can have it as it is. */
static int lifecycle_on_stop_failed(Domain *domain, const char *problem) {
        int r;

        if (domain->state != DOMAIN_STATE_STOPPING)
                return 0;
        domain->lifecycle.deadline = sd_event_source_disable_unref(domain->lifecycle.deadline);
        domain->lifecycle.start_wanted = false;
        domain_set_state(domain, DOMAIN_STATE_RUNNING);
        r = lifecycle_tell(domain, true, problem);
        r = r ?: call_table_on_domain_up(&domain->broker->calls, domain);
        return r ? error_trace(r) : error_trace(lifecycle_on_config(domain));
}

static int lifecycle_on_stop_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Domain *domain = userdata;

        log_error("domain %s: it was told to stop, and its agent is still there", domain->name.text);
        return error_trace(lifecycle_on_stop_failed(domain, "its agent is still there: see the log"));
}

int lifecycle_stop(Domain *domain) {
        int r;

        switch (domain->state) {
        case DOMAIN_STATE_HALTED:
        case DOMAIN_STATE_STOPPING:
        case _DOMAIN_STATE_N:
                domain->lifecycle.start_wanted = false;
                return 0;
        case DOMAIN_STATE_STARTING:
                /* Its start ends, and that tells everybody. */
                r = parent_stop(domain->broker->parent, &domain->name);
                if (r)
                        return error_fold(r);
                r = lifecycle_on_start_failed(domain, "it was stopped while it started");
                domain->lifecycle.n_failures = 0;
                return error_trace(r);
        case DOMAIN_STATE_RUNNING:
                break;
        }
        r = parent_stop(domain->broker->parent, &domain->name);
        if (r)
                return error_fold(r);
        domain->lifecycle.idle = sd_event_source_disable_unref(domain->lifecycle.idle);
        domain_set_state(domain, DOMAIN_STATE_STOPPING);
        return error_trace(
                lifecycle_arm(domain, &domain->lifecycle.deadline, LIFECYCLE_STOP_USEC, lifecycle_on_stop_deadline));
}

int lifecycle_wait(Domain *domain, Served *served, bool for_stop) {
        for (size_t i = 0; i < LIFECYCLE_WAITERS_MAX; ++i) {
                LifecycleWaiter *waiter = &domain->lifecycle.waiters[i];

                if (waiter->served)
                        continue;
                waiter->for_stop = for_stop;
                return error_trace(served_wait(served, &waiter->served,
                                               for_stop ? LIFECYCLE_STOP_USEC : LIFECYCLE_START_USEC,
                                               management_on_domain_late));
        }
        return LIFECYCLE_E_FULL;
}

static bool lifecycle_is_idle(const Domain *domain) {
        return domain->state == DOMAIN_STATE_RUNNING && domain->n_calls == 0 && domain->n_calls_here == 0;
}

/* Calls do not touch the timer, which would cost each a system call: it looks when they were when it fires. */
static int lifecycle_on_idle(sd_event_source *source, uint64_t usec, void *userdata) {
        Domain *domain = userdata;
        uint64_t timeout = config_idle_usec(domain->broker->config, &domain->name);
        uint64_t idle_usec = clock_now() - domain->lifecycle.idle_usec;

        domain->lifecycle.idle = sd_event_source_disable_unref(domain->lifecycle.idle);
        if (timeout == 0)
                return 0;
        if (!lifecycle_is_idle(domain))
                idle_usec = 0;
        if (idle_usec < timeout)
                return error_trace(
                        lifecycle_arm(domain, &domain->lifecycle.idle, timeout - idle_usec, lifecycle_on_idle));
        log_info("domain %s: nobody has called it for %llu s: stopping it", domain->name.text,
                 (unsigned long long)(timeout / USEC_PER_SEC));
        return error_trace(lifecycle_stop(domain));
}

int lifecycle_on_config(Domain *domain) {
        Lifecycle *lifecycle = &domain->lifecycle;
        uint64_t timeout = config_idle_usec(domain->broker->config, &domain->name);

        lifecycle->n_failures = 0; /* what kept it from starting may have been mended */
        lifecycle->idle = sd_event_source_disable_unref(lifecycle->idle);
        if (timeout == 0 || domain->state != DOMAIN_STATE_RUNNING)
                return 0;
        return error_trace(lifecycle_arm(domain, &lifecycle->idle, timeout, lifecycle_on_idle));
}

void lifecycle_on_call_ended(Domain *domain) {
        if (domain->lifecycle.idle)
                domain->lifecycle.idle_usec = clock_now();
}

int lifecycle_on_link_up(Domain *domain) {
        Lifecycle *lifecycle = &domain->lifecycle;
        int r;

        lifecycle->deadline = sd_event_source_disable_unref(lifecycle->deadline);
        lifecycle->start_wanted = false;
        lifecycle->idle_usec = clock_now();
        r = lifecycle_on_config(domain);
        return r ? error_trace(r) : error_trace(lifecycle_tell(domain, true, "it was started again"));
}

int lifecycle_on_link_lost(Domain *domain) {
        Lifecycle *lifecycle = &domain->lifecycle;
        int r;

        lifecycle->deadline = sd_event_source_disable_unref(lifecycle->deadline);
        lifecycle->idle = sd_event_source_disable_unref(lifecycle->idle);
        r = lifecycle_tell(domain, false, "it has stopped");
        if (r || !lifecycle->start_wanted)
                return error_trace(r);
        lifecycle->start_wanted = false;
        return error_trace(lifecycle_begin(domain));
}

int lifecycle_on_ended(Domain *domain, unsigned status) {
        char problem[LIFECYCLE_PROBLEM_MAX];

        if (status == LIFECYCLE_STATUS_LATE)
                snprintf(problem, sizeof(problem), "its start command took too long: see the log");
        else if (status == LIFECYCLE_STATUS_FAILED)
                snprintf(problem, sizeof(problem), "nothing could be run: see the log");
        else
                snprintf(problem, sizeof(problem), "what was started ended with status %u: see the log", status);
        return error_trace(lifecycle_on_start_failed(domain, problem));
}

int lifecycle_on_stopped(Domain *domain, unsigned status) {
        char problem[LIFECYCLE_PROBLEM_MAX];

        /* That it halts, its link's end says, which may be on its way; without one nobody is left to say how calls ended. */
        if (status == 0 && domain->state == DOMAIN_STATE_STOPPING)
                return error_trace(lifecycle_arm(domain, &domain->lifecycle.deadline, LIFECYCLE_STOPPED_USEC,
                                                 lifecycle_on_stop_deadline));
        if (status == 0) {
                if (!domain->link)
                        call_table_on_agent_ended(&domain->broker->calls, domain);
                return 0;
        }
        if (status == LIFECYCLE_STATUS_LATE)
                snprintf(problem, sizeof(problem), "its stop command took too long: see the log");
        else if (status == LIFECYCLE_STATUS_FAILED)
                snprintf(problem, sizeof(problem), "there is no way to stop it: see the log");
        else
                snprintf(problem, sizeof(problem), "its stop command ended with status %u: see the log", status);
        return error_trace(lifecycle_on_stop_failed(domain, problem));
}

int lifecycle_on_removed(Domain *domain) {
        int r;

        r = lifecycle_on_start_failed(domain, "it was removed from the inventory");
        domain->lifecycle.start_wanted = false;
        return r ? error_trace(r) : error_trace(lifecycle_tell(domain, false, "it was removed from the inventory"));
}

void lifecycle_deinit(Lifecycle *lifecycle) {
        lifecycle->deadline = sd_event_source_disable_unref(lifecycle->deadline);
        lifecycle->idle = sd_event_source_disable_unref(lifecycle->idle);
}
