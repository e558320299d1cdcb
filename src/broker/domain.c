/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/domain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/dbpeer.h"
#include "broker/grant.h"
#include "broker/link.h"
#include "broker/listener.h"

#define DOMAIN_NOTE_INTERVAL_USEC USEC_PER_SEC

int domain_new(Broker *broker, const DomainName *name, uid_t uid, Domain **ret_domain) {
        Domain *domain;

        domain = malloc(sizeof(*domain));
        if (!domain)
                return error_origin(-ENOMEM);
        *domain = (Domain){
                .broker = broker,
                .n_refs = 1,
                .name = *name,
                .uid = uid,
                .n_connections_max = broker_share(broker, DOMAIN_CONNECTIONS_MAX),
                .n_calls_max = DOMAIN_CALLS_MAX,
        };
        domain->ready_last = &domain->ready_first;
        *ret_domain = domain;
        return 0;
}

Domain *domain_ref(Domain *domain) {
        ++domain->n_refs;
        return domain;
}

Domain *domain_unref(Domain *domain) {
        if (!domain || --domain->n_refs > 0)
                return NULL;
        domain_close(domain);
        free(domain);
        return NULL;
}

const char *domain_state_text(DomainState state) {
        static const char *const names[_DOMAIN_STATE_N] = {
                [DOMAIN_STATE_HALTED] = "halted",
                [DOMAIN_STATE_STARTING] = "starting",
                [DOMAIN_STATE_RUNNING] = "running",
                [DOMAIN_STATE_STOPPING] = "stopping",
        };

        return names[state];
}

void domain_set_state(Domain *domain, DomainState state) {
        if (domain->state == state)
                return;
        log_debug("domain %s: %s -> %s", domain->name.text, domain_state_text(domain->state), domain_state_text(state));
        domain->state = state;
        if (domain->broker->config && !domain->is_gone)
                config_set_running(domain->broker->config, &domain->name, state == DOMAIN_STATE_RUNNING);
}

static void domain_close_listeners(Domain *domain) {
        domain->trigger = listener_free(domain->trigger);
        domain->link_listener = listener_free(domain->link_listener);
        domain->daemon = listener_free(domain->daemon);
        domain->store_listener = listener_free(domain->store_listener);
        domain->host_store = listener_free(domain->host_store);
        dbpeer_free_all(domain);
}

void domain_close(Domain *domain) {
        domain_close_listeners(domain);
        lifecycle_deinit(&domain->lifecycle);
        domain->link = link_free(domain->link);
        while (domain->draining)
                link_free(domain->draining);
        domain->state = DOMAIN_STATE_HALTED;
}

/* One that is gone is forgotten with its last link. */
static void domain_forget_gone(Domain *domain) {
        Domain **place = &domain->broker->gone;

        if (domain->link || domain->draining)
                return;
        while (*place && *place != domain)
                place = &(*place)->next_gone;
        if (*place) {
                *place = domain->next_gone;
                domain->next_gone = NULL;
                domain_unref(domain);
        }
}

void domain_close_all(Broker *broker) {
        for (size_t i = 0; i < broker->domains.n; ++i)
                domain_close(broker->domains.by_name[i]);
        while (broker->gone) {
                domain_close(broker->gone);
                domain_forget_gone(broker->gone);
        }
}

int domain_on_link_up(Domain *domain, Link *link) {
        int r;

        domain->link = link;
        domain->agent_has_ended = false;
        domain_set_state(domain, DOMAIN_STATE_RUNNING);
        r = lifecycle_on_link_up(domain);
        return r ? error_trace(r) : error_trace(call_table_on_domain_up(&domain->broker->calls, domain));
}

int domain_on_link_lost(Domain *domain) {
        int r;

        domain->link = link_free(domain->link);
        domain_set_state(domain, DOMAIN_STATE_HALTED);
        grant_on_agent_gone(domain->broker, &domain->name);
        r = call_table_on_link_lost(&domain->broker->calls, domain);
        if (!r && (domain->agent_has_ended || domain->is_gone))
                call_table_on_agent_ended(&domain->broker->calls, domain);
        r = r ?: lifecycle_on_link_lost(domain);
        domain_forget_gone(domain);
        return error_trace(r);
}

int domain_on_link_drains(Domain *domain) {
        int r;

        domain->link = NULL;
        domain_set_state(domain, DOMAIN_STATE_HALTED);
        grant_on_agent_gone(domain->broker, &domain->name);
        r = call_table_on_link_lost(&domain->broker->calls, domain);
        return r ? error_trace(r) : error_trace(lifecycle_on_link_lost(domain));
}

int domain_on_drained(Domain *domain, Link *link) {
        call_table_on_drained(&domain->broker->calls, domain, link);
        link_free(link);
        domain_forget_gone(domain);
        return 0;
}

int domain_on_agent_ended(Domain *domain, unsigned status) {
        /* What the agent still had to say may be in its link: that one's end is the end of it. */
        if (domain->link) {
                domain->agent_has_ended = true;
                return 0;
        }
        call_table_on_agent_ended(&domain->broker->calls, domain);
        return error_trace(lifecycle_on_ended(domain, status));
}

int domain_remove(Domain *domain) {
        CallTable *calls = &domain->broker->calls;
        int r;

        /* The table may hold the last reference but ours. */
        domain_ref(domain);
        domain->is_gone = true;
        domain_table_remove(&domain->broker->domains, domain);
        grant_on_domain_removed(domain->broker, &domain->name);
        r = lifecycle_on_removed(domain);
        if (!domain->keeps_calls)
                r = r ?: call_table_end_domain(calls, domain);
        r = r ?: call_table_on_link_lost(calls, domain);
        if (!r && (domain->link || domain->draining) && !domain->keeps_calls) {
                domain_close_listeners(domain);
                lifecycle_deinit(&domain->lifecycle);
                domain->next_gone = domain->broker->gone;
                domain->broker->gone = domain;
                r = domain->link ? link_close_later(domain->link) : 0;
                for (Link *link = domain->draining; link && !r; link = link_next_draining(link))
                        r = link_close_later(link);
                return error_trace(r);
        }
        while (!r && domain->draining)
                r = domain_on_drained(domain, domain->draining);
        domain_close(domain);
        if (!r)
                call_table_on_agent_ended(calls, domain);
        domain_unref(domain);
        return error_trace(r);
}

void domain_note(Domain *domain, const char *format, ...) {
        uint64_t now = clock_now();
        char text[512];
        va_list arguments;

        if (domain->noted_usec != 0 && now - domain->noted_usec < DOMAIN_NOTE_INTERVAL_USEC) {
                ++domain->n_unnoted;
                return;
        }
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (domain->n_unnoted > 0)
                log_warning("%s: %s (%u more such records left out)", domain->name.text, text, domain->n_unnoted);
        else
                log_warning("%s: %s", domain->name.text, text);
        domain->noted_usec = now;
        domain->n_unnoted = 0;
}

void domain_table_deinit(DomainTable *table) {
        for (size_t i = 0; i < table->n; ++i)
                domain_unref(table->by_name[i]);
        free(table->by_name);
        free(table->by_uid);
        *table = (DomainTable){};
}

/* First place whose name is not below @name. */
static size_t domain_table_name_place(const DomainTable *table, const char *name) {
        size_t low = 0, high = table->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(table->by_name[middle]->name.text, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static size_t domain_table_uid_place(const DomainTable *table, uid_t uid) {
        size_t low = 0, high = table->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (table->by_uid[middle]->uid < uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

int domain_table_add(DomainTable *table, Domain *domain) {
        size_t name_place = domain_table_name_place(table, domain->name.text);
        size_t uid_place = domain_table_uid_place(table, domain->uid);
        Domain **larger;

        larger = reallocarray(table->by_name, table->n + 1, sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        table->by_name = larger;
        larger = reallocarray(table->by_uid, table->n + 1, sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        table->by_uid = larger;

        memmove(&table->by_name[name_place + 1], &table->by_name[name_place],
                (table->n - name_place) * sizeof(*larger));
        memmove(&table->by_uid[uid_place + 1], &table->by_uid[uid_place], (table->n - uid_place) * sizeof(*larger));
        table->by_name[name_place] = domain_ref(domain);
        table->by_uid[uid_place] = domain;
        ++table->n;
        return 0;
}

void domain_table_remove(DomainTable *table, Domain *domain) {
        size_t name_place = domain_table_name_place(table, domain->name.text);
        size_t uid_place = 0;

        if (name_place == table->n || table->by_name[name_place] != domain)
                return;
        while (table->by_uid[uid_place] != domain)
                ++uid_place;
        --table->n;
        memmove(&table->by_name[name_place], &table->by_name[name_place + 1],
                (table->n - name_place) * sizeof(*table->by_name));
        memmove(&table->by_uid[uid_place], &table->by_uid[uid_place + 1],
                (table->n - uid_place) * sizeof(*table->by_uid));
        domain_unref(domain);
}

Domain *domain_table_find(const DomainTable *table, const char *name) {
        size_t place = domain_table_name_place(table, name);

        if (place == table->n || strcmp(table->by_name[place]->name.text, name) != 0)
                return NULL;
        return table->by_name[place];
}

Domain *domain_table_find_uid(const DomainTable *table, uid_t uid) {
        size_t place = domain_table_uid_place(table, uid);

        if (place == table->n || table->by_uid[place]->uid != uid || domain_is_dom0(table->by_uid[place]))
                return NULL;
        return table->by_uid[place];
}
