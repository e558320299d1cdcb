/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/watch.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/owncall.h"
#include "broker/promptrequest.h"

#define NOTIFY_SERVICE "policy.Notify"

/*
 * What is going on about one source:
 *
 *   QUIET (n_waiting 0) -- an event --> SENDING, and the timer runs -- time is up, nothing waits --> freed
 *                                          ^      '-- events: counted --'    |
 *                                          '------------ time is up, some wait
 */
struct Notify {
        Notify *next, **place;
        Broker *broker;
        DomainName source, guivm;
        OwnCall *call;        /* on its way, or NULL */
        uint64_t called_usec; /* since when */
        sd_event_source *timer;
        uint64_t muted_usec; /* until then nothing is sent: it failed */
        /* what came since, of which the last is told */
        unsigned n_waiting;
        const char *resolution; /* a literal of ours */
        char service[NOTIFY_SERVICE_MAX + 1];
        RequestName target;
};

static Notify *notify_free(Notify *notify) {
        if (!notify)
                return NULL;
        *notify->place = notify->next;
        if (notify->next)
                notify->next->place = notify->place;
        sd_event_source_disable_unref(notify->timer);
        own_call_free(notify->call);
        free(notify);
        return NULL;
}

void notify_free_all(Broker *broker) {
        while (broker->notifies)
                notify_free(broker->notifies);
}

static int notify_on_end(void *userdata, const OwnCallEnd *end) {
        Notify *notify = userdata;

        if (end->problem) {
                log_error("error calling qrexec-policy-agent in %s: %s", notify->guivm.text, end->problem);
                notify->muted_usec = clock_now() + NOTIFY_RETRY_USEC;
        }
        notify->call = own_call_free(notify->call);
        return 0;
}

static bool notify_can_be_told(const Notify *notify) {
        char service[SERVICE_DESCRIPTOR_MAX + 1];
        DomainName via;
        const Domain *domain = NULL;

        if (clock_now() < notify->muted_usec)
                return false;
        if (config_reach(notify->broker->config, &notify->guivm, NOTIFY_SERVICE, &via, service))
                domain = domain_table_find(&notify->broker->domains, via.text);
        return domain && domain->state == DOMAIN_STATE_RUNNING;
}

/* What waits is told, or, where it cannot be, forgotten. */
static int notify_send(Notify *notify) {
        _cleanup_free_ char *text = NULL;
        PromptNotice notice = {
                .resolution = notify->resolution,
                .service = notify->service,
                .source = notify->source.text,
                .target = notify->target.text,
                .count = notify->n_waiting,
        };
        size_t n;
        int r;

        notify->n_waiting = 0;
        notify->called_usec = clock_now();
        if (!notify_can_be_told(notify))
                return 0;
        r = prompt_notice_format(&notice, &text, &n);
        if (r)
                return error_trace(r);
        r = own_call_new(notify->broker, &notify->guivm, NOTIFY_SERVICE, text, n, notify_on_end, notify, &notify->call);
        return r == OWN_CALL_E_NOWHERE ? 0 : error_fold(r);
}

static int notify_arm(Notify *notify);

static int notify_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Notify *notify = userdata;
        int r;

        if (notify->call && clock_now() - notify->called_usec >= NOTIFY_CALL_USEC) {
                log_error("error calling qrexec-policy-agent in %s: it takes too long", notify->guivm.text);
                notify->call = own_call_free(notify->call);
                notify->muted_usec = clock_now() + NOTIFY_RETRY_USEC;
        }
        if (!notify->call && notify->n_waiting == 0 && clock_now() >= notify->muted_usec) {
                notify_free(notify);
                return 0;
        }
        r = !notify->call && notify->n_waiting > 0 ? notify_send(notify) : 0;
        return r ? error_trace(r) : error_trace(notify_arm(notify));
}

static int notify_arm(Notify *notify) {
        notify->timer = sd_event_source_disable_unref(notify->timer);
        return error_trace(watch_time(notify->broker->event, NOTIFY_USEC, 0, notify_on_timer, notify, &notify->timer));
}

static Notify *notify_find(const Broker *broker, const NotifyEvent *event) {
        for (Notify *notify = broker->notifies; notify; notify = notify->next)
                if (strcmp(notify->source.text, event->source->text) == 0 &&
                    strcmp(notify->guivm.text, event->guivm->text) == 0)
                        return notify;
        return NULL;
}

int notify_person(Broker *broker, const NotifyEvent *event) {
        Notify *notify;
        bool is_new;
        int r;

        if (event->guivm->text[0] == '\0')
                return 0;
        notify = notify_find(broker, event);
        is_new = !notify;
        if (is_new) {
                notify = malloc(sizeof(*notify));
                if (!notify)
                        return error_origin(-ENOMEM);
                *notify = (Notify){
                        .next = broker->notifies,
                        .place = &broker->notifies,
                        .broker = broker,
                        .source = *event->source,
                        .guivm = *event->guivm,
                };
                if (notify->next)
                        notify->next->place = &notify->next;
                broker->notifies = notify;
        }
        ++notify->n_waiting;
        notify->resolution = event->resolution;
        snprintf(notify->service, sizeof(notify->service), "%s", event->service);
        snprintf(notify->target.text, sizeof(notify->target.text), "%s", event->target);
        if (!is_new)
                return 0;
        r = notify_send(notify);
        return r ? error_trace(r) : error_trace(notify_arm(notify));
}
