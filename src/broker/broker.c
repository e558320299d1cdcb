/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/watchdog.h"
#include "broker/audit.h"
#include "broker/book.h"
#include "broker/config.h"
#include "broker/grant.h"
#include "broker/listener.h"
#include "broker/notify.h"
#include "broker/parent.h"
#include "broker/prompt.h"
#include "broker/served.h"

/* Turns of the loop before records are written although there is more to do. */
#define BROKER_TURNS_MAX 16

DEFINE_CLEANUP(Broker *, broker_free)

/* Does the kernel refuse descriptors that nobody asked for? Then no receive of ours can be held up by dropping them. */
static int broker_make_watchdog(Watchdog **ret_watchdog) {
        int probe[2];
        bool refuses;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, probe) < 0)
                return error_origin(-errno);
        refuses = socket_refuse_rights(probe[0]);
        fd_close(probe[0]);
        fd_close(probe[1]);
        if (refuses) {
                *ret_watchdog = NULL;
                return 0;
        }
        log_info("this kernel cannot refuse unasked descriptors (SO_PASSRIGHTS, Linux 6.16): a watchdog guards "
                 "receives");
        return error_trace(watchdog_new(ret_watchdog));
}

static void broker_find_limit(Broker *broker) {
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > INT_MAX)
                files.rlim_cur = INT_MAX;
        broker->fds_end = files.rlim_cur > 2 * BROKER_FDS_RESERVED ? (int)files.rlim_cur - BROKER_FDS_RESERVED
                                                                   : (int)files.rlim_cur / 2;
}

size_t broker_share(const Broker *broker, size_t limit) {
        size_t share = (size_t)broker->fds_end / 4;

        return limit < share ? limit : share;
}

static int broker_make_strangers(Broker *broker) {
        static const DomainName name = { .text = "(stranger)" };
        int r = domain_new(broker, &name, (uid_t)-1, &broker->strangers);

        if (r)
                return error_trace(r);
        broker->strangers->n_connections_max = broker_share(broker, DOMAIN_STRANGERS_MAX);
        return 0;
}

static int broker_watch_signals(Broker *broker) {
        static const int signals[] = { SIGTERM, SIGINT };

        for (size_t i = 0; i < ARRAY_SIZE(signals); ++i) {
                int r = sd_event_add_signal(broker->event, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);

                if (r < 0)
                        return error_origin(r);
        }
        return 0;
}

int broker_new(Config *config, int parent_fd, uid_t admin_uid, Broker **ret_broker) {
        _cleanup_(broker_freep) Broker *broker = NULL;
        _cleanup_fd_ int owned_fd = parent_fd;
        int r;

        broker = malloc(sizeof(*broker));
        if (!broker)
                return error_origin(-ENOMEM);
        *broker = (Broker){
                .config = config, .uid = getuid(), .admin_uid = admin_uid, .spare_fd = -1, .began_usec = clock_now()
        };
        broker_find_limit(broker);
        r = call_table_init(&broker->calls);
        if (r)
                return error_trace(r);
        broker->scratch = malloc(BROKER_SCRATCH_SIZE);
        broker->outgoing = malloc(BROKER_SCRATCH_SIZE);
        if (!broker->scratch || !broker->outgoing)
                return error_origin(-ENOMEM);
        broker->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (broker->spare_fd < 0)
                return error_origin(-errno);
        r = sd_event_new(&broker->event);
        if (r < 0)
                return error_origin(r);
        r = broker_watch_signals(broker);
        if (r)
                return error_trace(r);
        r = grants_new(&broker->grants);
        r = r ?: caller_turns_init(&broker->turns, broker);
        r = r ?: audit_new(broker, &broker->audit);
        if (r)
                return error_trace(r);
        r = broker_make_watchdog(&broker->watchdog);
        if (r)
                return error_trace(r);
        r = broker_make_strangers(broker);
        if (r)
                return error_trace(r);
        r = parent_new(broker, fd_steal(&owned_fd), &broker->parent);
        if (r)
                return error_trace(r);
        *ret_broker = steal_ptr(&broker);
        return 0;
}

Broker *broker_free(Broker *broker) {
        if (!broker)
                return NULL;
        broker->shared = listener_free(broker->shared);
        broker->stores = listener_free(broker->stores);
        caller_turns_deinit(&broker->turns);
        broker->parent = parent_free(broker->parent);
        domain_close_all(broker);
        prompt_free_all(broker);
        notify_free_all(broker);
        if (broker->audit) {
                served_free_all(broker);
                call_table_abandon(&broker->calls);
        }
        call_table_deinit(&broker->calls);
        channel_close(&broker->prepared);
        broker->grants = grants_free(broker->grants);
        broker->audit = audit_free(broker->audit);
        broker->book = book_free(broker->book);
        domain_table_deinit(&broker->domains);
        timing_deinit(&broker->timing);
        broker->strangers = domain_unref(broker->strangers);
        broker->watchdog = watchdog_free(broker->watchdog);
        broker->event = sd_event_unref(broker->event);
        broker->spare_fd = fd_close(broker->spare_fd);
        free(broker->scratch);
        free(broker->outgoing);
        free(broker);
        return NULL;
}

int broker_retire(Broker *broker) {
        int r;

        log_notice(
                "the folder of the configuration was replaced, and this broker may read the old one alone: ending, so "
                "that another begins; calls in flight go on");
        r = sd_event_exit(broker->event, 0);
        return r < 0 ? error_origin(r) : 0;
}

/* Records and lines for people are written behind the work that they are about. */
static int broker_settle(Broker *broker, bool *ret_waits) {
        int r = audit_settle(broker->audit, ret_waits);

        log_flush();
        return error_trace(r);
}

/*
 * One turn: an event that is there already, or the wait for one. Before we wait, and every BROKER_TURNS_MAX turns where
 * there is no need to, what has been put off is done.
 */
static int broker_turn(Broker *broker) {
        bool waits = false;
        int r;

        if (++broker->n_turns >= BROKER_TURNS_MAX) {
                broker->n_turns = 0;
                r = broker_settle(broker, &waits);
                if (r)
                        return error_trace(r);
        }
        r = sd_event_prepare(broker->event);
        if (r == 0) {
                broker->n_turns = 0;
                r = broker_settle(broker, &waits);
                if (r)
                        return error_trace(r);
                /* Timers are armed by sd_event_prepare(): one that was set just now has to pass it. */
                r = sd_event_wait(broker->event, waits ? 0 : UINT64_MAX);
        }
        ++broker->n_events;
        if (r > 0)
                r = sd_event_dispatch(broker->event);
        return r < 0 ? error_origin(r) : 0;
}

int broker_run(Broker *broker) {
        int code = 0, r = 0;

        log_set_batched(true);
        while (!r && sd_event_get_state(broker->event) != SD_EVENT_FINISHED)
                r = broker_turn(broker);
        if (!r)
                r = sd_event_get_exit_code(broker->event, &code);
        log_set_batched(false);
        return r < 0 ? error_trace(r) : error_trace(code);
}
