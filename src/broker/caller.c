/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/caller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/watch.h"
#include "broker/broker.h"
#include "broker/inbox.h"
#include "wire/reply.h"
#include "wire/trigger.h"

struct Caller {
        CallOrigin origin;
        Caller *next_ready; /* of its domain */
        Broker *broker;
        Domain *domain;
        int fd;
        Inbox inbox;
        sd_event_source *source;   /* none before we have to wait for something */
        sd_event_source *deadline; /* while READING */
        bool wants_reasons;        /* its ident said QAIR1: it takes descriptors, and is told why it is refused */
        bool wants_more;           /* it may send another request after the answer */
        Call *call;                /* while WAITING */
};

static void caller_take_request(Caller *caller) {
        inbox_take(&caller->inbox, caller->fd, caller->broker->watchdog);
}

static Caller *caller_free(Caller *caller) {
        if (!caller)
                return NULL;
        /* Whoever is let go on purpose sees an end, not that nobody read what it sent. */
        caller_take_request(caller);
        if (caller->call)
                call_cancel(caller->call);
        sd_event_source_disable_unref(caller->deadline);
        sd_event_source_disable_unref(caller->source);
        inbox_deinit(&caller->inbox);
        fd_close(caller->fd);
        if (caller->domain)
                --caller->domain->n_connections;
        domain_unref(caller->domain);
        free(caller);
        return NULL;
}

static int caller_watch(Caller *caller);

/* It has its answer. Frees the caller, unless it may ask for more. */
static int caller_finish(Caller *caller) {
        if (caller->wants_more)
                return error_trace(caller_watch(caller));
        caller_free(caller);
        return 0;
}

/* The socket's buffer is empty, so twelve bytes always fit; a caller for whom they do not has itself to blame. */
static int caller_answer(Caller *caller, const Reply *reply, const int *fds, size_t n_fds) {
        uint8_t data[REPLY_REFUSED_SIZE];
        size_t n = reply_encode(reply, data);
        int r;

        caller->call = NULL;
        caller_take_request(caller);
        r = socket_send(caller->fd, data, n, fds, n_fds, NULL);
        if (!r)
                return error_trace(caller_finish(caller));
        caller_free(caller);
        switch (r) {
        case SOCKET_E_AGAIN:
        case SOCKET_E_GONE:
        case SOCKET_E_LIMIT:
                return 0;
        default:
                return error_fold(r);
        }
}

static void caller_committed(CallOrigin *origin) {
        caller_take_request(container_of(origin, Caller, origin));
}

static int caller_connected(CallOrigin *origin, uint32_t id, uint32_t mode, const int *fds, size_t n_fds) {
        return error_trace(caller_answer(container_of(origin, Caller, origin),
                                         &(Reply){ .connect_domain = mode, .connect_port = id }, fds, n_fds));
}

static int caller_refused(CallOrigin *origin, uint32_t id, ReplyReason reason) {
        Caller *caller = container_of(origin, Caller, origin);

        caller->call = NULL;
        if (!caller->wants_reasons) {
                caller_free(caller);
                return 0;
        }
        return error_trace(caller_answer(
                caller, &(Reply){ .connect_domain = WIRE_DOMAIN_REFUSED, .connect_port = id, .reason = reason }, NULL,
                0));
}

static int caller_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata);
static int caller_on_deadline(sd_event_source *source, uint64_t usec, void *userdata);

/* From now on it is heard when it hangs up, and while its request is not complete, when it sends. */
static int caller_watch(Caller *caller) {
        uint32_t events = caller->call ? EPOLLRDHUP : EPOLLIN;
        int r;

        if (!caller->source)
                return error_trace(
                        watch_io(caller->broker->event, caller->fd, events, caller_on_io, caller, &caller->source));
        r = sd_event_source_set_io_events(caller->source, events);
        return r < 0 ? error_origin(r) : 0;
}

/* Its request is not complete yet: give it a little time. */
static int caller_await_request(Caller *caller) {
        int r;

        if (caller->deadline)
                return 0;
        r = watch_time(caller->broker->event, CALLER_READ_USEC, USEC_PER_SEC, caller_on_deadline, caller,
                       &caller->deadline);
        return r ? error_trace(r) : error_trace(caller_watch(caller));
}

static bool caller_ident_is(const uint8_t field[static IDENT_SIZE], const char *ident) {
        return memcmp(field, ident, strlen(ident) + 1) == 0;
}

/* Frees the caller, or leaves it waiting: it must not be touched afterwards. */
static int caller_handle(Caller *caller, const InboxMessage *message) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        uint8_t ident_field[IDENT_SIZE] = {};
        CallRequest request;
        bool is_domain;
        Call *call;
        int r;

        caller->deadline = sd_event_source_disable_unref(caller->deadline);
        r = trigger_decode(message->header.type, message->payload, message->header.length, ident_field, &trigger);
        if (r < 0)
                return error_trace(r);
        is_domain = caller->domain != caller->broker->strangers && !caller->domain->is_gone;
        caller->wants_more = caller_ident_is(ident_field, IDENT_QAIR_MORE);
        caller->wants_reasons = caller->wants_more || caller_ident_is(ident_field, IDENT_QAIR);
        /* Who is nobody's domain is told so, and may come again when it is one. */
        caller->wants_more = caller->wants_more && is_domain;
        if (r > 0) {
                domain_note(caller->domain, "sent a request that is not well formed");
                return error_trace(caller_refused(&caller->origin, 0, REPLY_REASON_NOT_UNDERSTOOD));
        }
        if (!is_domain)
                return error_trace(caller_refused(&caller->origin, 0, REPLY_REASON_NOT_A_DOMAIN));
        if (!caller->wants_reasons) {
                domain_note(caller->domain, "its client takes no descriptors: use the qrexec-client-vm of this host");
                return error_trace(caller_refused(&caller->origin, 0, REPLY_REASON_NOT_UNDERSTOOD));
        }

        request = (CallRequest){
                .source = caller->domain,
                .requested_source = &trigger->source,
                .requested_target = &trigger->target,
                .service = trigger->service,
                .mode = WIRE_DOMAIN_DIRECT,
                .origin = &caller->origin,
        };
        r = call_request(caller->broker, &request, &call);
        if (r)
                return error_trace(r);
        if (!call)
                return 0;
        caller->call = call;
        return error_trace(caller_watch(caller));
}

static bool caller_may_send(uint32_t type, size_t n) {
        return type == WIRE_TYPE_TRIGGER_SERVICE4 && trigger_size_is_valid(type, n);
}

/* May free the caller. Return: 0, or a negative error. */
static int caller_dispatch(Caller *caller) {
        InboxMessage message;
        int r;

        if (caller->call) {
                caller_free(caller); /* it hung up */
                return 0;
        }
        r = inbox_receive(&caller->inbox, caller->fd, caller->broker->scratch, BROKER_SCRATCH_SIZE, caller_may_send,
                          caller->broker->watchdog, &message);
        switch (r) {
        case 0:
                return error_trace(caller_handle(caller, &message));
        case INBOX_E_MORE:
                return error_trace(caller_await_request(caller));
        case INBOX_E_REFUSED:
                domain_note(caller->domain, "sent something that is no request: closed that connection");
                caller_free(caller);
                return 0;
        case INBOX_E_EOF:
                caller_free(caller);
                return 0;
        default:
                return error_fold(r);
        }
}

static int caller_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        return error_trace(caller_dispatch(userdata));
}

static int caller_on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Caller *caller = userdata;

        domain_note(caller->domain, "sent no whole request in time: closed that connection");
        caller_free(caller);
        return 0;
}

/* For the first time. It must not be touched afterwards. */
static int caller_look(Caller *caller) {
        Broker *broker = caller->broker;
        int r;

        r = caller->domain == broker->strangers ? 0 : call_prepare(broker);
        if (r) {
                caller_free(caller);
                return error_trace(r);
        }

        /*
         * Most callers have sent their request by now, and most calls are answered at once: those need no event source,
         * no deadline and no further turn of the event loop.
         */
        return error_trace(caller_dispatch(caller));
}

static void caller_queue_domain(CallerTurns *turns, Domain *domain) {
        domain->next_ready = NULL;
        *turns->last = domain;
        turns->last = &domain->next_ready;
}

static void caller_queue(Caller *caller) {
        Domain *domain = caller->domain;

        if (!domain->ready_first)
                caller_queue_domain(&caller->broker->turns, domain);
        *domain->ready_last = caller;
        domain->ready_last = &caller->next_ready;
}

/* The next connection of the domain whose turn it is; that domain's next turn is behind all others. */
static Caller *caller_turns_take(CallerTurns *turns) {
        Domain *domain = turns->first;
        Caller *caller = domain->ready_first;

        turns->first = domain->next_ready;
        if (!turns->first)
                turns->last = &turns->first;
        domain->ready_first = caller->next_ready;
        if (domain->ready_first)
                caller_queue_domain(turns, domain);
        else
                domain->ready_last = &domain->ready_first;
        return caller;
}

static int caller_on_turn(sd_event_source *source, void *userdata) {
        Broker *broker = userdata;

        for (unsigned i = 0; i < CALLER_TURNS_MAX && broker->turns.first; ++i) {
                int r = caller_look(caller_turns_take(&broker->turns));

                if (r)
                        return error_trace(r);
        }
        return broker->turns.first ? 0 : error_trace(watch_enable(source, SD_EVENT_OFF));
}

int caller_turns_init(CallerTurns *turns, Broker *broker) {
        turns->last = &turns->first;
        return error_trace(watch_defer(broker->event, caller_on_turn, broker, &turns->source));
}

void caller_turns_deinit(CallerTurns *turns) {
        while (turns->first) {
                Caller *caller = caller_turns_take(turns);

                /* Unread, so that it asks the next broker. */
                --caller->domain->n_connections;
                domain_unref(caller->domain);
                fd_close(caller->fd);
                free(caller);
        }
        turns->source = sd_event_source_disable_unref(turns->source);
}

int caller_new(Broker *broker, Domain *domain, int fd, bool is_busy) {
        Caller *caller;

        caller = malloc(sizeof(*caller));
        if (!caller) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *caller = (Caller){
                .origin = { .committed = caller_committed, .connected = caller_connected, .refused = caller_refused },
                .broker = broker,
                .domain = domain_ref(domain),
                .fd = fd,
        };
        ++domain->n_connections;
        if (is_busy) {
                caller_queue(caller);
                return error_trace(watch_enable(broker->turns.source, SD_EVENT_ON));
        }
        return error_trace(caller_look(caller));
}
