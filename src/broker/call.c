/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/call.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "broker/audit.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/link.h"
#include "wire/command.h"
#include "wire/exec.h"
#include "wire/header.h"

#define CALL_TABLE_BUCKETS_MIN 64
/* Ids are shown to people: nine digits can still be typed. */
#define CALL_ID_MAX UINT32_C(999999999)

static const char *const call_state_names[_CALL_STATE_N] = {
        [CALL_STATE_DECIDING] = "deciding",
        [CALL_STATE_STARTING] = "starting",
        [CALL_STATE_CONNECTING] = "connecting",
        [CALL_STATE_RUNNING] = "running",
};

static void call_set_state(Call *call, CallState state) {
        static const uint32_t transitions[_CALL_STATE_N] = {
                [CALL_STATE_DECIDING] = BIT(CALL_STATE_STARTING) | BIT(CALL_STATE_CONNECTING) | BIT(CALL_STATE_RUNNING),
                [CALL_STATE_STARTING] = BIT(CALL_STATE_CONNECTING),
                [CALL_STATE_CONNECTING] = BIT(CALL_STATE_RUNNING),
        };

        assert(transitions[call->state] & BIT(state));
        log_debug("call %u: %s -> %s", call->id, call_state_names[call->state], call_state_names[state]);
        call->state = state;
}

int call_table_init(CallTable *table) {
        uint32_t seed;

        if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
                return error_origin(-errno);
        *table = (CallTable){ .next_id = seed % CALL_ID_MAX + 1 };
        table->buckets = calloc(CALL_TABLE_BUCKETS_MIN, sizeof(*table->buckets));
        if (!table->buckets)
                return error_origin(-ENOMEM);
        table->n_buckets = CALL_TABLE_BUCKETS_MIN;
        return 0;
}

static Call **call_table_bucket(const CallTable *table, uint32_t id) {
        return &table->buckets[id & (table->n_buckets - 1)];
}

Call *call_table_find(const CallTable *table, uint32_t id) {
        for (Call *call = *call_table_bucket(table, id); call; call = call->next)
                if (call->id == id)
                        return call;
        return NULL;
}

static int call_table_grow(CallTable *table) {
        CallTable larger = { .n_buckets = table->n_buckets * 2 };

        larger.buckets = calloc(larger.n_buckets, sizeof(*larger.buckets));
        if (!larger.buckets)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < table->n_buckets; ++i) {
                while (table->buckets[i]) {
                        Call *call = table->buckets[i];
                        Call **bucket = call_table_bucket(&larger, call->id);

                        table->buckets[i] = call->next;
                        call->next = *bucket;
                        *bucket = call;
                }
        }
        free(table->buckets);
        table->buckets = larger.buckets;
        table->n_buckets = larger.n_buckets;
        return 0;
}

static uint32_t call_table_take_id(CallTable *table) {
        uint32_t id;

        do {
                id = table->next_id;
                table->next_id = id == CALL_ID_MAX ? 1 : id + 1;
        } while (call_table_find(table, id));
        return id;
}

static int call_table_add(CallTable *table, Call *call) {
        Call **bucket;

        if (table->n_calls >= table->n_buckets) {
                int r = call_table_grow(table);

                if (r)
                        return r;
        }
        bucket = call_table_bucket(table, call->id);
        call->next = *bucket;
        *bucket = call;
        ++table->n_calls;
        return 0;
}

static Call *call_free(Call *call) {
        CallTable *table;

        if (!call)
                return NULL;
        table = &call->broker->calls;
        for (Call **place = call_table_bucket(table, call->id); *place; place = &(*place)->next) {
                if (*place == call) {
                        *place = call->next;
                        --table->n_calls;
                        break;
                }
        }
        if (call->source)
                --call->source->n_calls;
        call->source = domain_unref(call->source);
        call->target = domain_unref(call->target);
        call->agent_fd = fd_close(call->agent_fd);
        call->origin_fd = fd_close(call->origin_fd);
        free(call->command);
        free(call);
        return NULL;
}
DEFINE_CLEANUP(Call *, call_free)

void call_table_deinit(CallTable *table) {
        for (size_t i = 0; i < table->n_buckets; ++i)
                while (table->buckets[i])
                        call_free(table->buckets[i]);
        free(table->buckets);
        *table = (CallTable){};
}

static int call_new(Broker *broker, uint32_t id, Domain *source, Domain *target, const char *service, Call **ret_call) {
        _cleanup_(call_freep)
        Call *call = NULL;
        int r;

        call = malloc(sizeof(*call) + strlen(service) + 1);
        if (!call)
                return error_origin(-ENOMEM);
        *call = (Call){
                .broker = broker,
                .id = id,
                .target = domain_ref(target),
                .agent_fd = -1,
                .origin_fd = -1,
                .start_usec = clock_now(),
        };
        strcpy(call->service, service); /* allocated for it */
        if (source) {
                call->source = domain_ref(source);
                ++source->n_calls;
        }
        r = call_table_add(&broker->calls, call);
        if (r)
                return r;
        *ret_call = steal_ptr(&call);
        return 0;
}

/* The end of a call that never ran: its origin is told, its end is recorded. */
static int call_refuse(Call *call, ReplyReason reason, const char *why) {
        CallOrigin *origin = steal_ptr(&call->origin);
        uint32_t id = call->id;

        audit_ended(call, why, 125, 0);
        call_free(call);
        return origin ? origin->refused(origin, id, reason) : 0;
}

static int call_connected(Call *call) {
        CallOrigin *origin = steal_ptr(&call->origin);
        int r = 0;

        call_set_state(call, CALL_STATE_RUNNING);
        if (origin)
                r = origin->connected(origin, call->id, WIRE_DOMAIN_FRAMED, &call->origin_fd, 1);
        /* Both ends are with their owners now: what happens on them is none of our business. */
        call->origin_fd = fd_close(call->origin_fd);
        call->agent_fd = fd_close(call->agent_fd);
        return error_trace(r);
}

/* The target runs: make the channel and tell the agent first, so that the caller never waits for one who knows nothing. */
static int call_connect(Call *call) {
        _cleanup_free_ char *command = NULL;
        int fds[2];
        int r;

        call_set_state(call, CALL_STATE_CONNECTING);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                        return error_trace(call_refuse(call, REPLY_REASON_UNAVAILABLE, "out of descriptors"));
                return error_origin(-errno);
        }
        call->agent_fd = fds[0];
        call->origin_fd = fds[1];

        command = steal_ptr(&call->command);
        r = link_send_exec(call->target->link, call->just_exec ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE,
                           &(Exec){ .params = { .connect_domain = WIRE_DOMAIN_FRAMED, .connect_port = call->id },
                                    .text = command,
                                    .n_text = strlen(command) },
                           call->agent_fd);
        switch (r) {
        case 0:
                return error_trace(call_connected(call));
        case LINK_E_QUEUED:
                return 0; /* call_on_sent() will come, or the link's end */
        case LINK_E_FULL:
                return error_trace(call_refuse(call, REPLY_REASON_UNAVAILABLE, "the agent does not read"));
        case LINK_E_GONE:
                return error_trace(call_refuse(call, REPLY_REASON_UNAVAILABLE, "the agent went away"));
        default:
                return error_fold(r);
        }
}

int call_on_sent(Call *call) {
        return error_trace(call_connected(call));
}

/* Decided: go on as far as the target permits. *@ret_call stays NULL if the origin has been told. */
static int call_proceed(Call *call, Call **ret_call) {
        uint32_t id = call->id;
        Broker *broker = call->broker;
        int r;

        if (call->target->state == DOMAIN_STATE_RUNNING) {
                r = call_connect(call);
        } else {
                r = domain_start(call->target);
                if (!r)
                        call_set_state(call, CALL_STATE_STARTING);
        }
        if (r)
                return error_fold(r);

        call = call_table_find(&broker->calls, id);
        *ret_call = call && call->origin ? call : NULL;
        return 0;
}

/* What a domain's service is started with; dom0's services are also told what the caller asked for (6.1, 7.7). */
static int call_format(Call *call, const ConfigDecision *decision, const char *service) {
        char text[EXEC_COMMAND_MAX];
        const char *user = decision->user ?: config_account(call->broker->config, &decision->target);
        const char *requested = decision->requested_target.text;
        bool is_keyword = requested[0] == '@';
        int n;

        if (!user)
                return 0; /* the account vanished from the inventory meanwhile: command stays NULL */
        n = command_format(text, sizeof(text), user, service, decision->source.text,
                           !domain_is_dom0(call->target) ? NULL
                           : is_keyword                  ? "keyword"
                                                         : "name",
                           is_keyword ? requested + 1 : requested);
        if (n == -EMSGSIZE)
                return 0;
        if (n < 0)
                return n;
        call->command = strndup(text, (size_t)n);
        return call->command ? 0 : error_origin(-ENOMEM);
}

static int call_refuse_request(const CallRequest *request, uint32_t id, ReplyReason reason, const char *why) {
        audit_refused(id, request->source->name.text, request->requested_target->text, request->service, reason, why);
        return request->origin->refused(request->origin, id, reason);
}

/* Calls of the host itself are not subject to policy (policy specification, 4.3): it has to say whom it means. */
static void call_decide_dom0(Broker *broker, const CallRequest *request, ConfigDecision *ret_decision) {
        Domain *target = domain_table_find(&broker->domains, request->requested_target->text);
        ConfigDecision decision = {
                .source = request->source->name,
                .requested_target = *request->requested_target,
                .autostart = true,
        };

        if (request->requested_source->text[0] != '\0') {
                strcpy(decision.why, "dom0 is no relay");
        } else if (!target) {
                strcpy(decision.why, "calls of dom0 have to name a domain that has an account here");
        } else if (domain_is_dom0(target)) {
                strcpy(decision.why, "loopback qrexec connection not supported");
        } else {
                decision.allowed = true;
                decision.target = target->name;
                strcpy(decision.why, "calls of dom0 need no rule");
        }
        *ret_decision = decision;
}

static int call_decide(Broker *broker, const CallRequest *request, ConfigDecision *ret_decision) {
        if (domain_is_dom0(request->source)) {
                call_decide_dom0(broker, request, ret_decision);
                return 0;
        }
        return error_trace(config_decide(broker->config, &request->source->name, request->requested_source,
                                         request->requested_target, request->service, ret_decision));
}

int call_request(Broker *broker, const CallRequest *request, Call **ret_call) {
        uint32_t id = call_table_take_id(&broker->calls);
        size_t n_calls_max = config_max_calls(broker->config, &request->source->name) ?: request->source->n_calls_max;
        ConfigDecision decision;
        const char *service;
        Domain *target;
        Call *call;
        int r;

        *ret_call = NULL;
        if (request->source->n_calls >= n_calls_max)
                return error_trace(call_refuse_request(request, id, REPLY_REASON_TOO_MANY, "too many open calls"));
        r = call_decide(broker, request, &decision);
        if (r)
                return error_fold(r);
        if (!decision.allowed)
                return error_trace(call_refuse_request(request, id, REPLY_REASON_REFUSED, decision.why));

        service = decision.service ?: request->service;
        target = domain_table_find(&broker->domains, decision.target.text);
        if (!target)
                return error_trace(call_refuse_request(request, id, REPLY_REASON_UNAVAILABLE,
                                                       "the target has no account here, so nothing can run there"));
        if (target->state != DOMAIN_STATE_RUNNING && !decision.autostart)
                return error_trace(call_refuse_request(request, id, REPLY_REASON_REFUSED,
                                                       "the target does not run, and the rule forbids starting it"));
        audit_allowed(id, decision.source.text, decision.requested_target.text, request->service, decision.target.text,
                      decision.why);

        r = call_new(broker, id, request->source, target, service, &call);
        if (r)
                return error_trace(r);
        call->origin = request->origin;
        r = call_format(call, &decision, service);
        if (r)
                return error_trace(r);
        if (!call->command)
                return error_trace(call_refuse(call, REPLY_REASON_UNAVAILABLE, "no command can be made of it"));
        return error_trace(call_proceed(call, ret_call));
}

/* The word, not the colon, and only at the very beginning, is the target's account (protocol specification, 3.6). */
static char *call_substitute_user(const char *command, const char *account) {
        static const char keyword[] = "DEFAULT:";
        bool is_default = strncmp(command, keyword, strlen(keyword)) == 0;
        char *text;

        if (is_default && !account)
                return strdup("");
        return asprintf(&text, "%s%s", is_default ? account : "", command + (is_default ? strlen(keyword) - 1 : 0)) < 0
                       ? NULL
                       : text;
}

int call_command(Broker *broker, const CallCommand *request, Call **ret_call) {
        _cleanup_free_ char *command = NULL, *service = NULL;
        uint32_t id = call_table_take_id(&broker->calls);
        Command parsed;
        Call *call;
        int r;

        *ret_call = NULL;
        command = call_substitute_user(request->command, config_account(broker->config, &request->target->name));
        if (!command)
                return error_origin(-ENOMEM);
        if (command_parse(command, true, &parsed) || strlen(command) >= EXEC_COMMAND_MAX) {
                audit_refused(id, request->source->name.text, request->target->name.text, "(no service)",
                              REPLY_REASON_NOT_UNDERSTOOD, "the command cannot be parsed");
                return error_trace(request->origin->refused(request->origin, id, REPLY_REASON_NOT_UNDERSTOOD));
        }
        service = parsed.is_service ? strndup(parsed.descriptor.text, parsed.descriptor.n) : strdup("(shell command)");
        if (!service)
                return error_origin(-ENOMEM);
        audit_allowed(id, request->source->name.text, request->target->name.text, service, request->target->name.text,
                      "calls of dom0 need no rule");

        r = call_new(broker, id, request->source, request->target, service, &call);
        if (r)
                return error_trace(r);
        call->origin = request->origin;
        call->just_exec = request->just_exec;
        call->command = steal_ptr(&command);
        return error_trace(call_proceed(call, ret_call));
}

void call_cancel(Call *call) {
        call->origin = NULL;
        if (call->state == CALL_STATE_RUNNING)
                return;
        audit_ended(call, "the caller hung up before it began", -1, 0);
        call_free(call);
}

void call_on_ended(Call *call, const CallEnded *ended) {
        audit_ended(call, call_how_text(ended->how), ended->status, ended->run_usec);
        call_free(call);
}

/* Every call of @target in @state; the body may free the call. */
#define call_table_foreach(_table, _call, _target, _state)                                                 \
        for (size_t _bucket = 0; _bucket < (_table)->n_buckets; ++_bucket)                                 \
                for (Call *_call = (_table)->buckets[_bucket], *_next = _call ? _call->next : NULL; _call; \
                     _call = _next, _next = _call ? _call->next : NULL)                                    \
                        if (_call->target == (_target) && _call->state == (_state))

int call_table_on_domain_up(CallTable *table, Domain *target) {
        call_table_foreach(table, call, target, CALL_STATE_STARTING) {
                int r = call_connect(call);

                if (r)
                        return error_trace(r);
        }
        return 0;
}

int call_table_on_start_failed(CallTable *table, Domain *target) {
        call_table_foreach(table, call, target, CALL_STATE_STARTING) {
                int r = call_refuse(call, REPLY_REASON_UNAVAILABLE, "the target could not be started");

                if (r)
                        return error_trace(r);
        }
        return 0;
}

int call_table_on_link_lost(CallTable *table, Domain *target) {
        call_table_foreach(table, call, target, CALL_STATE_CONNECTING) {
                int r = call_refuse(call, REPLY_REASON_UNAVAILABLE, "the agent went away");

                if (r)
                        return error_trace(r);
        }
        return 0;
}

static int call_compare_ids(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

int call_table_on_list(CallTable *table, Domain *target, uint32_t *ids, size_t n_ids) {
        qsort(ids, n_ids, sizeof(*ids), call_compare_ids);
        call_table_foreach(table, call, target, CALL_STATE_RUNNING) {
                if (bsearch(&call->id, ids, n_ids, sizeof(*ids), call_compare_ids))
                        continue;
                audit_ended(call, "it ended while the agent was away", -1, 0);
                call_free(call);
        }
        for (size_t i = 0; i < n_ids; ++i) {
                Call *call;
                int r;

                if (ids[i] == 0 || ids[i] > CALL_ID_MAX || call_table_find(table, ids[i]))
                        continue; /* known, or nonsense that nobody will ask about */
                r = call_new(target->broker, ids[i], NULL, target, "(begun earlier)", &call);
                if (r)
                        return error_trace(r);
                call->state = CALL_STATE_RUNNING;
        }
        return 0;
}

void call_table_on_agent_ended(CallTable *table, Domain *target) {
        call_table_foreach(table, call, target, CALL_STATE_RUNNING) {
                audit_ended(call, "the agent died, nobody knows more", -1, 0);
                call_free(call);
        }
}
