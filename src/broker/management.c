/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/management.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/number.h"
#include "broker/audit.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/grant.h"
#include "broker/parent.h"
#include "broker/served.h"
#include "broker/timing.h"

#define MANAGEMENT_PREFIX "qair."

/* A page stops growing here, so that one more entry, the longest there is, and the end still fit the answer. */
#define MANAGEMENT_PAGE_MAX (SERVED_ANSWER_MAX - 8192)
/* What an entry of a page takes at most, without its texts: to stop in time without formatting twice. */
#define MANAGEMENT_ENTRY_MAX 256

#define EXIT_DONE       0
#define EXIT_FAILED     1
#define EXIT_USAGE      2
#define EXIT_NO_SERVICE 127

static struct json_object *management_unref(struct json_object *object) {
        json_object_put(object);
        return NULL;
}
DEFINE_CLEANUP(struct json_object *, management_unref)
#define _cleanup_json_ _cleanup_(management_unrefp) struct json_object *

/* json-c fails for want of memory only; so does each of these. Takes @value, also on failure. */
static int management_put(struct json_object *object, const char *key, struct json_object *value) {
        if (!value)
                return error_origin(-ENOMEM);
        if (json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return error_origin(-ENOMEM);
        }
        return 0;
}

static int management_put_text(struct json_object *object, const char *key, const char *untrusted_text) {
        return management_put(object, key, json_object_new_string(ESCAPED(untrusted_text, strlen(untrusted_text))));
}

static int management_put_number(struct json_object *object, const char *key, uint64_t number) {
        return management_put(object, key, json_object_new_uint64(number));
}

static int management_put_flag(struct json_object *object, const char *key, bool flag) {
        return management_put(object, key, json_object_new_boolean(flag));
}

static int management_answer(Served *served, struct json_object *answer, int status) {
        const char *text =
                json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        _cleanup_free_ char *line = NULL;
        size_t n;

        if (!text)
                return error_origin(-ENOMEM);
        n = strlen(text);
        line = malloc(n + 1);
        if (!line)
                return error_origin(-ENOMEM);
        memcpy(line, text, n);
        line[n] = '\n';
        return error_trace(served_answer(served, line, n + 1, status));
}

static int management_fail(Served *served, const char *problem, int status) {
        _cleanup_json_ answer = json_object_new_object();

        if (!answer)
                return error_origin(-ENOMEM);
        return management_put_text(answer, "error", problem) ?: management_answer(served, answer, status);
}

static int management_domain(const Domain *domain, struct json_object **ret_entry) {
        _cleanup_json_ entry = json_object_new_object();
        int r;

        if (!entry)
                return error_origin(-ENOMEM);
        r = management_put_text(entry, "name", domain->name.text);
        r = r ?: management_put_text(entry, "state", domain_state_text(domain->state));
        r = r ?: management_put_number(entry, "calls", domain->n_calls);
        r = r ?: management_put_number(entry, "calls_here", domain->n_calls_here);
        r = r ?: management_put_number(entry, "connections", domain->n_connections);
        r = r ?: management_put_number(entry, "audit_bytes_waiting", domain->n_audit_bytes);
        if (r)
                return r;
        *ret_entry = steal_ptr(&entry);
        return 0;
}

/* Domains are sorted by name: a page begins behind the last name of the one before. */
static int management_domains(Broker *broker, const char *after, struct json_object *answer) {
        struct json_object *domains = json_object_new_array();
        size_t n_bytes = 0;
        int r;

        r = management_put(answer, "domains", domains);
        for (size_t i = 0; !r && i < broker->domains.n; ++i) {
                const Domain *domain = broker->domains.by_name[i];
                struct json_object *entry;

                if (strcmp(domain->name.text, after) <= 0)
                        continue;
                n_bytes += MANAGEMENT_ENTRY_MAX;
                if (n_bytes > MANAGEMENT_PAGE_MAX)
                        return management_put_flag(answer, "more", true);
                r = management_domain(domain, &entry);
                if (!r && json_object_array_add(domains, entry) < 0) {
                        json_object_put(entry);
                        r = error_origin(-ENOMEM);
                }
        }
        return r;
}

static int management_audit(const Broker *broker, struct json_object *answer) {
        struct json_object *audit = json_object_new_object();
        int r;

        r = management_put(answer, "audit", audit);
        r = r ?: management_put_text(audit, "to", audit_sink_name(broker->audit));
        r = r ?: management_put_number(audit, "records_waiting", audit_n_queued(broker->audit));
        if (audit_problem(broker->audit))
                r = r ?: management_put_text(audit, "problem", audit_problem(broker->audit));
        return r;
}

static int management_problem(struct json_object *answer, const char *key, const char *problem) {
        return management_put(answer, key,
                              problem ? json_object_new_string(ESCAPED(problem, strlen(problem)))
                                      : json_object_new_string("ok"));
}

static int management_status(Broker *broker, const char *argument, Served *served) {
        _cleanup_json_ answer = json_object_new_object();
        size_t states[_CALL_STATE_N];
        int r;

        if (!answer)
                return error_origin(-ENOMEM);
        r = config_refresh(broker->config);
        r = r ?: management_put_number(answer, "pid", (uint64_t)getpid());
        r = r ?: management_put_number(answer, "uptime_usec", clock_now() - broker->began_usec);
        r = r ?: management_problem(answer, "policy", config_policy_problem(broker->config));
        r = r ?: management_problem(answer, "inventory", config_inventory_problem(broker->config));
        r = r ?: management_problem(answer, "ask", grant_config_problem(broker));
        r = r ?: management_audit(broker, answer);
        call_table_count(&broker->calls, states);
        r = r ?: management_put_number(answer, "calls", broker->calls.n_calls);
        for (unsigned state = 0; !r && state < _CALL_STATE_N; ++state)
                if (state != CALL_STATE_DECIDING)
                        r = management_put_number(answer, call_state_text((CallState)state), states[state]);
        r = r ?: management_domains(broker, argument, answer);
        return r ? error_trace(r) : error_trace(management_answer(served, answer, EXIT_DONE));
}

static int management_compare_calls(const void *a, const void *b) {
        const Call *x = *(const Call *const *)a, *y = *(const Call *const *)b;

        return x->id < y->id ? -1 : x->id > y->id;
}

static int management_call(const Call *call, uint64_t now, struct json_object *calls, size_t *n_bytes) {
        _cleanup_json_ entry = json_object_new_object();
        int r;

        if (!entry)
                return error_origin(-ENOMEM);
        r = management_put_number(entry, "call", call->id);
        if (call->source_name.text[0] != '\0')
                r = r ?: management_put_text(entry, "source", call->source_name.text);
        if (call->relay_name.text[0] != '\0')
                r = r ?: management_put_text(entry, "relay", call->relay_name.text);
        r = r ?: management_put_text(entry, "target", call_target_text(call));
        if (call->service[0] != '\0')
                r = r ?: management_put_text(entry, "service", call->service);
        r = r ?: management_put_text(entry, "state", call_state_text(call->state));
        r = r ?: management_put_number(entry, "age_usec", now - call->start_usec);
        if (r)
                return r;
        *n_bytes += MANAGEMENT_ENTRY_MAX + strlen(call->service);
        if (json_object_array_add(calls, entry) < 0)
                return error_origin(-ENOMEM);
        entry = NULL;
        return 0;
}

static int management_calls(Broker *broker, const char *argument, Served *served) {
        _cleanup_json_ answer = json_object_new_object();
        struct json_object *calls = json_object_new_array();
        _cleanup_free_ Call **sorted = NULL;
        size_t n_sorted = 0, n_bytes = 0;
        uint64_t after = 0, now = clock_now();
        int r;

        if (!answer || !calls) {
                json_object_put(calls);
                return error_origin(-ENOMEM);
        }
        r = management_put(answer, "calls", calls);
        if (r)
                return r;
        if (argument[0] != '\0' && number_parse(argument, strlen(argument), 0, UINT32_MAX, &after))
                return error_trace(management_fail(served, "the argument is no call id", EXIT_USAGE));
        sorted = calloc(broker->calls.n_calls + 1, sizeof(*sorted));
        if (!sorted)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < broker->calls.n_buckets; ++i)
                for (Call *call = broker->calls.buckets[i]; call; call = call->next)
                        if (call->id > after)
                                sorted[n_sorted++] = call;
        qsort(sorted, n_sorted, sizeof(*sorted), management_compare_calls);
        for (size_t i = 0; !r && i < n_sorted; ++i) {
                if (n_bytes > MANAGEMENT_PAGE_MAX) {
                        r = management_put_flag(answer, "more", true);
                        break;
                }
                r = management_call(sorted[i], now, calls, &n_bytes);
        }
        return r ? error_trace(r) : error_trace(management_answer(served, answer, EXIT_DONE));
}

static int management_stage(const TimingService *service, Stage stage, struct json_object *entry) {
        const Histogram *histogram = &service->stages[stage];
        struct json_object *object;
        int r;

        if (histogram->n == 0)
                return 0;
        object = json_object_new_object();
        r = management_put(entry, stage_name(stage), object);
        r = r ?: management_put_number(object, "count", histogram->n);
        r = r ?: management_put_number(object, "median_usec", histogram_quantile(histogram, 500));
        r = r ?: management_put_number(object, "p99_usec", histogram_quantile(histogram, 990));
        return r;
}

static int management_timing(Broker *broker, const char *argument, Served *served) {
        _cleanup_json_ answer = json_object_new_object();
        struct json_object *services = json_object_new_object();
        int r;

        if (!answer)
                return error_origin(-ENOMEM);
        r = management_put(answer, "services", services);
        r = r ?: management_put_number(answer, "uptime_usec", clock_now() - broker->began_usec);
        for (size_t i = 0; !r && i < broker->timing.n_services; ++i) {
                const TimingService *service = broker->timing.services[i];
                struct json_object *entry = json_object_new_object();

                r = management_put(services, ESCAPED(service->name, strlen(service->name)), entry);
                for (unsigned stage = 0; !r && stage < _STAGE_N; ++stage)
                        r = management_stage(service, (Stage)stage, entry);
        }
        return r ? error_trace(r) : error_trace(management_answer(served, answer, EXIT_DONE));
}

static int management_killed(Served *served, unsigned call, const char *result, const char *how, int status) {
        _cleanup_json_ answer = json_object_new_object();
        int r;

        if (!answer)
                return error_origin(-ENOMEM);
        r = management_put_number(answer, "call", call);
        r = r ?: management_put_text(answer, "result", result);
        if (how)
                r = r ?: management_put_text(answer, "how", how);
        if (how && status >= 0)
                r = r ?: management_put_number(answer, "status", (uint64_t)status);
        return r ? r : management_answer(served, answer, how ? EXIT_DONE : EXIT_FAILED);
}

int management_on_call_ended(Served *served, unsigned call, const char *how, int status) {
        return error_trace(management_killed(served, call, "ended", how, status));
}

static int management_on_late(Served *served) {
        return error_trace(
                management_fail(served, "its agent was told to end it, and has not said that it ended", EXIT_FAILED));
}

static int management_kill(Broker *broker, const char *argument, Served *served) {
        uint64_t id;
        Call *call;
        int r;

        if (number_parse(argument, strlen(argument), 1, UINT32_MAX, &id))
                return error_trace(management_fail(served, "which call? qair.Kill+ID", EXIT_USAGE));
        call = call_table_find(&broker->calls, (uint32_t)id);
        if (!call)
                return error_trace(management_killed(served, (unsigned)id, "no such call", NULL, -1));
        if (call->killer)
                return error_trace(management_killed(served, (unsigned)id, "is being ended already", NULL, -1));
        r = served_wait(served, &call->killer, SERVED_USEC, management_on_late);
        if (r)
                return r;
        r = call_kill(call);
        switch (r) {
        case 0:
                return 0; /* management_on_call_ended() will come, or has come */
        case CALL_KILL_E_AWAY:
                return error_trace(management_killed(served, (unsigned)id, "its agent is away", NULL, -1));
        default:
                return error_fold(r);
        }
}

static int management_grant(const Grant *grant, uint64_t now, struct json_object *grants, size_t *n_bytes) {
        _cleanup_json_ entry = json_object_new_object();
        int r;

        if (!entry)
                return error_origin(-ENOMEM);
        r = management_put_number(entry, "grant", grant->id);
        r = r ?: management_put_text(entry, "answer", grant->allow ? "allow" : "deny");
        r = r ?: management_put_text(entry, "source", grant->source.text);
        if (strcmp(grant->caller.text, grant->source.text) != 0)
                r = r ?: management_put_text(entry, "relay", grant->caller.text);
        if (grant->allow) {
                r = r ?: management_put_text(entry, "requested_target", grant->requested_target.text);
                r = r ?: management_put_text(entry, "target", grant->choice);
        }
        r = r ?: management_put_text(entry, "service", grant->service);
        r = r ?: management_put_text(entry, "rule", grant->rule);
        r = r ?: management_put_text(entry, "by", grant->guivm.text);
        r = r ?: management_put_number(entry, "left_usec", grant->expires_usec - now);
        r = r ?: management_put_number(entry, "used", grant->n_used);
        if (r)
                return r;
        /* ESCAPED() bounds each of the texts that may be long. */
        *n_bytes += 2 * MANAGEMENT_ENTRY_MAX + 4 * 256;
        if (json_object_array_add(grants, entry) < 0)
                return error_origin(-ENOMEM);
        entry = NULL;
        return 0;
}

static int management_grants(Broker *broker, const char *argument, Served *served) {
        _cleanup_json_ answer = json_object_new_object();
        struct json_object *grants = json_object_new_array();
        uint64_t after = 0, now;
        const Grant *grant;
        size_t n_bytes = 0;
        int r;

        if (!answer || !grants) {
                json_object_put(grants);
                return error_origin(-ENOMEM);
        }
        r = management_put(answer, "grants", grants);
        if (r)
                return r;
        if (argument[0] != '\0' && number_parse(argument, strlen(argument), 0, UINT32_MAX, &after))
                return error_trace(management_fail(served, "the argument is no number of a grant", EXIT_USAGE));
        r = grant_first(broker, &grant);
        now = clock_boottime();
        for (; !r && grant; grant = grant->next) {
                if (grant->id <= after || grant->expires_usec <= now)
                        continue;
                if (n_bytes > MANAGEMENT_PAGE_MAX) {
                        r = management_put_flag(answer, "more", true);
                        break;
                }
                r = management_grant(grant, now, grants, &n_bytes);
        }
        return r ? error_trace(r) : error_trace(management_answer(served, answer, EXIT_DONE));
}

static int management_revoke(Broker *broker, const char *argument, Served *served) {
        _cleanup_json_ answer = json_object_new_object();
        uint64_t id = 0;
        size_t n;
        int r;

        if (!answer)
                return error_origin(-ENOMEM);
        if (strcmp(argument, "all") != 0 && number_parse(argument, strlen(argument), 1, UINT32_MAX, &id))
                return error_trace(
                        management_fail(served, "which grant? qair.Revoke+ID or qair.Revoke+all", EXIT_USAGE));
        n = grant_revoke(broker, (uint32_t)id);
        r = management_put_number(answer, "revoked", n);
        if (r)
                return r;
        return error_trace(management_answer(served, answer, n > 0 || id == 0 ? EXIT_DONE : EXIT_FAILED));
}

/* Before a domain is removed: what it runs, and has called, shall go on. */
static int management_keep(Broker *broker, const char *argument, Served *served) {
        Domain *domain = domain_table_find(&broker->domains, argument);
        _cleanup_json_ answer = json_object_new_object();
        int r;

        if (!answer)
                return error_origin(-ENOMEM);
        if (!domain || domain_is_dom0(domain))
                return error_trace(management_fail(served, "which domain? qair.KeepCalls+NAME", EXIT_FAILED));
        domain->keeps_calls = true;
        r = management_put_text(answer, "domain", domain->name.text);
        r = r ?: management_put_number(answer, "calls", domain->n_calls);
        return r ? error_trace(r) : error_trace(management_answer(served, answer, EXIT_DONE));
}

int management_on_domain(Served *served, const Domain *domain, const char *problem) {
        _cleanup_json_ answer = json_object_new_object();
        int r;

        if (!answer)
                return error_origin(-ENOMEM);
        r = management_put_text(answer, "domain", domain->name.text);
        r = r ?: management_put_text(answer, "state", domain_state_text(domain->state));
        r = r ?: management_put_number(answer, "calls_here", domain->n_calls_here);
        if (problem)
                r = r ?: management_put_text(answer, "problem", problem);
        return r ? error_trace(r) : error_trace(management_answer(served, answer, problem ? EXIT_FAILED : EXIT_DONE));
}

int management_on_domain_late(Served *served) {
        return error_trace(management_fail(served, "it has taken too long: see the log", EXIT_FAILED));
}

static int management_change_domain(Broker *broker, const char *argument, Served *served, bool stop) {
        Domain *domain = domain_table_find(&broker->domains, argument);
        int r;

        if (argument[0] == '\0')
                return error_trace(management_fail(
                        served, stop ? "which domain? qair.DomainStop+NAME" : "which domain? qair.DomainStart+NAME",
                        EXIT_USAGE));
        if (!domain)
                return error_trace(management_fail(
                        served, "there is no such domain on this host: `qair domain list` shows those there are",
                        EXIT_FAILED));
        if (domain->state == (stop ? DOMAIN_STATE_HALTED : DOMAIN_STATE_RUNNING))
                return error_trace(management_on_domain(served, domain, NULL));
        r = lifecycle_wait(domain, served, stop);
        if (r == LIFECYCLE_E_FULL)
                return error_trace(management_fail(served, "too many wait for this domain already", EXIT_FAILED));
        r = r ?: stop ? lifecycle_stop(domain) : lifecycle_start(domain, true);
        return error_fold(r);
}

static int management_start_domain(Broker *broker, const char *argument, Served *served) {
        return error_trace(management_change_domain(broker, argument, served, false));
}

static int management_stop_domain(Broker *broker, const char *argument, Served *served) {
        return error_trace(management_change_domain(broker, argument, served, true));
}

int management_on_reread(Broker *broker, Served *served) {
        _cleanup_json_ answer = json_object_new_object();
        int r;

        if (!answer)
                return error_origin(-ENOMEM);
        r = management_problem(answer, "policy", config_policy_problem(broker->config));
        r = r ?: management_problem(answer, "inventory", config_inventory_problem(broker->config));
        return r ? error_trace(r) : error_trace(management_answer(served, answer, EXIT_DONE));
}

int management_on_reread_late(Served *served) {
        return error_trace(
                management_fail(served, "the supervisor has not read the inventory yet: see the log", EXIT_FAILED));
}

static int management_reload(Broker *broker, const char *argument, Served *served) {
        int r = parent_reread(broker->parent, served);

        if (r == PARENT_E_FULL)
                return error_trace(management_fail(served, "too many wait for that already", EXIT_FAILED));
        return error_trace(r);
}

// clang-format off
static const struct {
        const char *name;
        int (*serve)(Broker *broker, const char *argument, Served *served);
} management_services[] = {
        { "qair.Status", management_status },
        { "qair.Calls", management_calls },
        { "qair.Kill", management_kill },
        { "qair.KeepCalls", management_keep },
        { "qair.DomainStart", management_start_domain },
        { "qair.DomainStop", management_stop_domain },
        { "qair.Reload", management_reload },
        { "qair.Timing", management_timing },
        { "qair.Grants", management_grants },
        { "qair.Revoke", management_revoke },
};
// clang-format on

bool management_is_service(const char *service) {
        return strncmp(service, MANAGEMENT_PREFIX, strlen(MANAGEMENT_PREFIX)) == 0;
}

int management_serve(Broker *broker, const char *service, Served *served) {
        size_t n = strcspn(service, "+");
        const char *argument = service[n] == '+' ? service + n + 1 : "";

        for (size_t i = 0; i < ARRAY_SIZE(management_services); ++i)
                if (strlen(management_services[i].name) == n && memcmp(management_services[i].name, service, n) == 0)
                        return error_trace(management_services[i].serve(broker, argument, served));
        return error_trace(management_fail(served, "there is no such service of the broker", EXIT_NO_SERVICE));
}
