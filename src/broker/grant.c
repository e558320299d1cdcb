/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/grant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "broker/broker.h"

#define GRANT_BASE_PREFIX "@dispvm:"

struct Grants {
        Grant *first; /* by number */
        uint32_t n_ever;
        unsigned generation; /* of the configuration that all of them have been compared with */
        AskConfig config;
        unsigned config_generation;
        bool has_config;
        char *config_problem;
};

static Grant *grant_free(Grant *grant) {
        if (!grant)
                return NULL;
        free(grant->choice);
        free(grant->service);
        free(grant);
        return NULL;
}
DEFINE_CLEANUP(Grant *, grant_free)

int grants_new(Grants **ret_grants) {
        Grants *grants = malloc(sizeof(*grants));

        if (!grants)
                return error_origin(-ENOMEM);
        *grants = (Grants){ .config = ASK_CONFIG_INIT };
        *ret_grants = grants;
        return 0;
}

Grants *grants_free(Grants *grants) {
        if (!grants)
                return NULL;
        while (grants->first) {
                Grant *grant = grants->first;

                grants->first = grant->next;
                grant_free(grant);
        }
        ask_config_deinit(&grants->config);
        free(grants->config_problem);
        free(grants);
        return NULL;
}

/*
 * The configuration
 */

static void grant_load_config(Broker *broker) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Grants *grants = broker->grants;
        AskConfig config;
        int r;

        if (grants->has_config && grants->config_generation == config_generation(broker->config))
                return;
        grants->has_config = true;
        grants->config_generation = config_generation(broker->config);
        ask_config_deinit(&grants->config);
        free(steal_ptr(&grants->config_problem));
        r = ask_config_load(config_ask_path(broker->config), &diagnostics, &config);
        if (!r) {
                grants->config = config;
                return;
        }
        grants->config.no_relay_guivm = true; /* perhaps it says so */
        diagnostics_log(&diagnostics);
        log_error("nothing can be granted for longer than once until that is mended");
        if (diagnostics.n_entries > 0)
                grants->config_problem = diagnostic_format(&diagnostics.entries[0]);
}

const AskConfig *grant_config(Broker *broker) {
        grant_load_config(broker);
        return &broker->grants->config;
}

const char *grant_config_problem(Broker *broker) {
        grant_load_config(broker);
        return broker->grants->config_problem;
}

/*
 * What ends them
 */

static const char *grant_target(const char *choice) {
        return strncmp(choice, GRANT_BASE_PREFIX, strlen(GRANT_BASE_PREFIX)) == 0 ? choice + strlen(GRANT_BASE_PREFIX)
                                                                                  : choice;
}

static bool grant_is_same(const Config *config, const char *domain, const char *hash) {
        char now[SHA256_TEXT_SIZE];

        return config_fingerprint(config, domain, now) && strcmp(now, hash) == 0;
}

/* While policy or inventory are broken, everything is refused, and nobody knows what will be: grants end, to be safe. */
static const char *grant_why_void(const Broker *broker, const Grant *grant) {
        if (!grant_is_same(broker->config, grant->source.text, grant->source_hash))
                return "its source has changed";
        if (grant->allow && !grant_is_same(broker->config, grant_target(grant->choice), grant->target_hash))
                return "its target has changed";
        return config_rule_exists(broker->config, grant->asks) ? NULL : "its rule has changed";
}

static void grant_drop(Grant **place, const char *why) {
        Grant *grant = *place;

        log_info("grant %u: %s: %s %s: gone: %s", grant->id, grant->source.text, grant->allow ? "allow" : "deny",
                 grant->service, why);
        *place = grant->next;
        grant_free(grant);
}

static int grant_sweep(Broker *broker) {
        Grants *grants = broker->grants;
        uint64_t now = clock_boottime();
        bool changed;
        int r;

        r = config_refresh(broker->config);
        if (r)
                return error_trace(r);
        changed = grants->generation != config_generation(broker->config);
        grants->generation = config_generation(broker->config);
        for (Grant **place = &grants->first; *place;) {
                const char *why = (*place)->expires_usec <= now ? "its time is over"
                                  : changed                     ? grant_why_void(broker, *place)
                                                                : NULL;

                if (why)
                        grant_drop(place, why);
                else
                        place = &(*place)->next;
        }
        return 0;
}

int grant_first(Broker *broker, const Grant **ret_grant) {
        int r = grant_sweep(broker);

        if (!r)
                *ret_grant = broker->grants->first;
        return error_trace(r);
}

size_t grant_revoke(Broker *broker, uint32_t id) {
        size_t n = 0;

        for (Grant **place = &broker->grants->first; *place;) {
                if (id != 0 && (*place)->id != id) {
                        place = &(*place)->next;
                        continue;
                }
                grant_drop(place, "revoked");
                ++n;
        }
        return n;
}

void grant_on_domain_removed(Broker *broker, const DomainName *domain) {
        if (!broker->grants)
                return;
        for (Grant **place = &broker->grants->first; *place;) {
                if (strcmp((*place)->caller.text, domain->text) == 0 ||
                    strcmp((*place)->source.text, domain->text) == 0 ||
                    strcmp(grant_target((*place)->choice), domain->text) == 0)
                        grant_drop(place, "a domain of it is gone");
                else
                        place = &(*place)->next;
        }
}

void grant_on_agent_gone(Broker *broker, const DomainName *domain) {
        if (!broker->grants)
                return;
        for (Grant **place = &broker->grants->first; *place;) {
                if (strcmp((*place)->guivm.text, domain->text) == 0)
                        grant_drop(place, "the session that gave it is over");
                else
                        place = &(*place)->next;
        }
}

/*
 * Making and using them
 */

static char *grant_service(const char *service, bool allow) {
        return allow ? strdup(service) : strndup(service, strcspn(service, "+"));
}

static bool grant_fits(const Grant *grant, const CallRequest *request, const ConfigDecision *asked) {
        size_t n_service = strcspn(request->service, "+");

        if (strcmp(grant->caller.text, request->source->name.text) != 0 ||
            strcmp(grant->source.text, asked->source.text) != 0)
                return false;
        /* Whoever that is: it is somebody else each time. */
        if (grant->allow && asked->is_unknown_source)
                return false;
        if (!grant->allow)
                return strlen(grant->service) == n_service && memcmp(grant->service, request->service, n_service) == 0;
        return strcmp(grant->service, request->service) == 0 && strcmp(grant->asks, asked->asks) == 0 &&
               strcmp(grant->requested_target.text, asked->requested_target.text) == 0;
}

int grant_add(Broker *broker, const CallRequest *request, const ConfigDecision *asked, const char *choice, uint32_t sec,
              uint32_t *ret_id) {
        _cleanup_(grant_freep) Grant *grant = NULL;
        Grant **place;
        size_t n = 0;
        int r;

        r = grant_sweep(broker);
        if (r)
                return error_trace(r);
        for (place = &broker->grants->first; *place; place = &(*place)->next)
                n += strcmp((*place)->caller.text, request->source->name.text) == 0;
        if (n >= GRANT_SOURCE_MAX) {
                log_warning("%s has %zu grants already: what a person answered holds once", request->source->name.text,
                            n);
                return 0;
        }
        grant = malloc(sizeof(*grant));
        if (!grant)
                return error_origin(-ENOMEM);
        *grant = (Grant){
                .id = ++broker->grants->n_ever,
                .allow = choice != NULL,
                .caller = request->source->name,
                .source = asked->source,
                .guivm = asked->guivm,
                .requested_target = asked->requested_target,
                .service = grant_service(request->service, choice != NULL),
                .choice = strdup(choice ?: ""),
                .expires_usec = clock_boottime() + sec * USEC_PER_SEC,
        };
        if (!grant->service || !grant->choice)
                return error_origin(-ENOMEM);
        strcpy(grant->rule, asked->rule);
        strcpy(grant->asks, asked->asks);
        if (!config_fingerprint(broker->config, grant->source.text, grant->source_hash) ||
            (choice && !config_fingerprint(broker->config, grant_target(choice), grant->target_hash)))
                return 0; /* the inventory does not know it: nothing to compare with later */
        log_info("grant %u: %s: %s %s %s for %u s (%s)", grant->id, grant->source.text, choice ? "allow" : "deny",
                 grant->service, grant->choice, sec, grant->rule);
        *ret_id = grant->id;
        *place = steal_ptr(&grant);
        return 0;
}

static int grant_use(Broker *broker, Grant *grant, const CallRequest *request, ConfigDecision *decision) {
        ConfigDecision asked = *decision;
        int r;

        ++grant->n_used;
        if (!grant->allow) {
                decision->is_ask = false;
                decision->is_notify = false; /* to be quiet is what was asked for */
                decision->grant = grant->id;
                snprintf(decision->why, sizeof(decision->why), "denied: denied by the user %s, for a while",
                         decision->rule);
                return 0;
        }
        r = config_decide_chosen(broker->config, &request->source->name, request->requested_source,
                                 request->requested_target, request->service, grant->choice, grant->asks, decision);
        if (r)
                return error_trace(r);
        if (!decision->allowed) {
                *decision = asked; /* it does not do any more: ask */
                return 0;
        }
        decision->guivm = grant->guivm;
        decision->grant = grant->id;
        return 0;
}

int grant_consult(Broker *broker, const CallRequest *request, ConfigDecision *decision) {
        Grant *found = NULL;
        int r;

        if (!broker->grants->first)
                return 0;
        r = grant_sweep(broker);
        if (r)
                return error_trace(r);
        /* A denial goes first, whenever it was made. */
        for (Grant *grant = broker->grants->first; grant; grant = grant->next)
                if (grant_fits(grant, request, decision) && (!found || !grant->allow))
                        found = grant;
        return found ? error_trace(grant_use(broker, found, request, decision)) : 0;
}
