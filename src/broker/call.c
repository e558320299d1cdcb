/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/call.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "broker/audit.h"
#include "broker/book.h"
#include "broker/broker.h"
#include "broker/callrecord.h"
#include "broker/calltable.h"
#include "broker/channel.h"
#include "broker/config.h"
#include "broker/grant.h"
#include "broker/lifecycle.h"
#include "broker/link.h"
#include "broker/management.h"
#include "broker/notify.h"
#include "broker/parent.h"
#include "broker/prompt.h"
#include "broker/served.h"
#include "wire/command.h"
#include "wire/exec.h"
#include "wire/header.h"

static const char *const call_state_names[_CALL_STATE_N] = {
        [CALL_STATE_DECIDING] = "deciding",     [CALL_STATE_ASKING] = "asking",   [CALL_STATE_STARTING] = "starting",
        [CALL_STATE_CONNECTING] = "connecting", [CALL_STATE_RUNNING] = "running",
};

size_t call_service_length(const char *service) {
        const char *plus = strchr(service, '+');

        return plus ? (size_t)(plus + 1 - service) + strnlen(plus + 1, CALL_ARGUMENT_MAX) : strlen(service);
}

const char *call_state_text(CallState state) {
        return call_state_names[state];
}

const char *call_target_text(const Call *call) {
        return call->target_name.text[0] != '\0' || !call->target ? call->target_name.text : call->target->name.text;
}

/* Time is counted for the state that is left: for the audit, and to see where a call's time goes. */
static void call_count_time(Call *call) {
        static const Stage stages[_CALL_STATE_N] = {
                [CALL_STATE_DECIDING] = STAGE_DECIDE, [CALL_STATE_ASKING] = STAGE_ASK,
                [CALL_STATE_STARTING] = STAGE_START,  [CALL_STATE_CONNECTING] = STAGE_CONNECT,
                [CALL_STATE_RUNNING] = STAGE_RUN,
        };
        uint64_t now = clock_now();

        if (call->state == CALL_STATE_DECIDING && call->stage_usec[STAGE_DECIDE] != STAGE_NONE)
                return; /* decided already: what came since belongs to the next state */
        call->stage_usec[stages[call->state]] = now - call->state_usec;
        call->state_usec = now;
}

static void call_set_state(Call *call, CallState state) {
        static const uint32_t transitions[_CALL_STATE_N] = {
                [CALL_STATE_DECIDING] = BIT(CALL_STATE_ASKING) | BIT(CALL_STATE_STARTING) | BIT(CALL_STATE_CONNECTING) |
                                        BIT(CALL_STATE_RUNNING),
                [CALL_STATE_ASKING] = BIT(CALL_STATE_STARTING) | BIT(CALL_STATE_CONNECTING),
                [CALL_STATE_STARTING] = BIT(CALL_STATE_CONNECTING),
                [CALL_STATE_CONNECTING] = BIT(CALL_STATE_RUNNING),
        };

        assert(transitions[call->state] & BIT(state));
        log_debug("call %u: %s -> %s", call->id, call_state_names[call->state], call_state_names[state]);
        call_count_time(call);
        call->state = state;
}

/* *@ret_id is 0 if there is none: the supervisor is behind. Ids in use are met once the numbers have come round. */
static int call_take_id(Broker *broker, uint32_t *ret_id) {
        CallTable *table = &broker->calls;
        uint32_t id;

        do
                id = call_ids_take(&table->ids);
        while (id != 0 && call_table_find(table, id));
        *ret_id = id;
        return call_ids_want_more(&table->ids) ? error_trace(parent_ask_ids(broker->parent)) : 0;
}

Call *call_free(Call *call) {
        if (!call)
                return NULL;
        call_table_remove(&call->broker->calls, call);
        if (call->state == CALL_STATE_CONNECTING && call->target->link)
                link_forget(call->target->link, call->id);
        if (call->source) {
                --call->source->n_calls;
                lifecycle_on_call_ended(call->source);
        }
        if (call->target) {
                --call->target->n_calls_here;
                lifecycle_on_call_ended(call->target);
        }
        call->source = domain_unref(call->source);
        call->target = domain_unref(call->target);
        channel_close(&call->channel);
        prompt_leave(call);
        free(call->command);
        free(call);
        return NULL;
}
static void call_set_target(Call *call, Domain *target) {
        call->target = domain_ref(target);
        ++target->n_calls_here;
}

int call_new(Broker *broker, uint32_t id, Domain *source, Domain *target, const char *service, uint64_t asked_usec,
             Call **ret_call) {
        const char *plus = strchr(service, '+');
        size_t n_service = call_service_length(service);
        _cleanup_(call_freep) Call *call = NULL;
        int r;

        call = malloc(sizeof(*call) + n_service + 1);
        if (!call)
                return error_origin(-ENOMEM);
        *call = (Call){
                .broker = broker,
                .id = id,
                .start_usec = asked_usec,
                .state_usec = asked_usec,
                .stage_usec = { STAGE_NONE, STAGE_NONE, STAGE_NONE, STAGE_NONE, STAGE_NONE },
                .place = BOOK_NONE,
        };
        if (target)
                call_set_target(call, target);
        memcpy(call->service, service, n_service);
        call->service[n_service] = '\0';
        if (plus && service[n_service] != '\0')
                call->n_argument = strlen(plus + 1);
        if (source) {
                call->source_name = source->name;
                call->source = domain_ref(source);
                ++source->n_calls;
        }
        r = call_table_add(&broker->calls, call);
        if (r)
                return r;
        *ret_call = steal_ptr(&call);
        return 0;
}

/* From here on an end is owed: by us, or by the broker that comes after us. */
static void call_book(Call *call) {
        BookEntry entry = {
                .call = call->id,
                .source = call->source_name,
                .relay = call->relay_name,
                .target = call->target->name,
                .target_name = call->target_name,
                .start_usec = call->start_usec,
                .n_argument = call->n_argument,
        };

        strcpy(entry.service, call->service); /* BOOK_SERVICE_SIZE is what a call remembers at most */
        call->place = book_put(call->broker->book, &entry);
}

/* Record how it ended, tell whoever wanted it ended, and free it. */
void call_end(Call *call, const char *how, const char *reason, int status, uint64_t run_usec) {
        Broker *broker = call->broker;
        int r = 0;

        call_count_time(call);
        if (call->state == CALL_STATE_RUNNING && run_usec > 0)
                call->stage_usec[STAGE_RUN] = run_usec;
        else if (call->source_name.text[0] == '\0')
                call->stage_usec[STAGE_RUN] = STAGE_NONE; /* its beginning was another broker's */
        r = call_record_end(call, how, reason, status);
        book_remove(broker->book, call->place);
        for (unsigned stage = 0; !r && call->service[0] != '\0' && stage < _STAGE_N; ++stage)
                r = timing_add(&broker->timing, call->service, (Stage)stage, call->stage_usec[stage]);
        if (!r && call->killer)
                r = management_on_call_ended(call->killer, call->id, how, status);
        call_free(call);
        /* Ends come from destructors too, which have nobody to return an error to. */
        if (r < 0)
                (void)sd_event_exit(broker->event, r);
}

/* A person is told what was decided, if the rule wants it; who asked has been told before (5.8). */
static int call_notify(const CallRequest *request, const ConfigDecision *decision) {
        const DomainName *source = decision->allowed ? &decision->source : &request->source->name;
        Broker *broker = request->source->broker;
        DomainName guivm;

        if (!decision->is_notify)
                return 0;
        guivm = config_guivm(broker->config, source);
        return error_trace(
                notify_person(broker, &(NotifyEvent){ .resolution = decision->allowed ? "allow" : "deny",
                                                      .service = request->service,
                                                      .source = source,
                                                      .target = decision->allowed ? decision->allowed_to.text
                                                                                  : request->requested_target->text,
                                                      .guivm = &guivm }));
}

static int call_notify_failed(const Call *call) {
        DomainName guivm = config_guivm(call->broker->config, &call->source_name);

        return error_trace(notify_person(call->broker, &(NotifyEvent){ .resolution = "fail",
                                                                       .service = call->service,
                                                                       .source = &call->source_name,
                                                                       .target = call_target_text(call),
                                                                       .guivm = &guivm }));
}

/* The end of a call that never ran: its origin is told first, so that nobody waits for a record. */
int call_refuse(Call *call, ReplyReason reason, const char *why) {
        CallOrigin *origin = steal_ptr(&call->origin);
        int r;

        r = origin ? origin->refused(origin, call->id, reason) : 0;
        if (!r && call->notify)
                r = call_notify_failed(call);
        call_end(call, "not connected", why, 125, 0);
        return r;
}

static int call_connected(Call *call) {
        CallOrigin *origin = steal_ptr(&call->origin);
        int r = 0;

        call_set_state(call, CALL_STATE_RUNNING);
        if (origin)
                r = origin->connected(origin, call->id, call->mode, call->channel.origin_fds, call->channel.n_fds);
        /* All ends are with their owners now: what happens on them is none of our business. */
        channel_close(&call->channel);
        return error_trace(r);
}

int call_prepare(Broker *broker) {
        int r;

        if (broker->prepared.n_fds > 0)
                return 0;
        r = channel_open(&broker->prepared, WIRE_DOMAIN_DIRECT);
        return r == CHANNEL_E_LIMIT ? 0 : error_fold(r);
}

/* Return: 0, CHANNEL_E_LIMIT, or a negative error. */
static int call_take_channel(Call *call) {
        Broker *broker = call->broker;

        if (call->mode != WIRE_DOMAIN_DIRECT || broker->prepared.n_fds == 0)
                return channel_open(&call->channel, call->mode);
        call->channel = broker->prepared;
        broker->prepared = (Channel){};
        return 0;
}

/* The target runs: make the channel and tell the agent first, so that the caller never waits for one who knows nothing. */
int call_connect(Call *call) {
        _cleanup_free_ char *command = NULL;
        int r;

        call_set_state(call, CALL_STATE_CONNECTING);
        r = call_take_channel(call);
        if (r == CHANNEL_E_LIMIT)
                return error_trace(call_refuse(call, REPLY_REASON_UNAVAILABLE, "out of descriptors"));
        if (r)
                return error_fold(r);

        if (call->origin && call->origin->committed)
                call->origin->committed(call->origin);
        command = steal_ptr(&call->command);
        book_set_sent(call->broker->book, call->place);
        r = link_send_exec(call->target->link, call->just_exec ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE,
                           &(Exec){ .params = { .connect_domain = call->mode, .connect_port = call->id },
                                    .text = command,
                                    .n_text = strlen(command) },
                           call->channel.agent_fds, call->channel.n_fds);
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

int call_on_not_sent(Call *call) {
        return error_trace(call_refuse(call, REPLY_REASON_UNAVAILABLE, "the agent does not read"));
}

/* Decided: go on as far as the target permits. *@ret_call stays NULL if the origin has been told. */
static int call_proceed(Call *call, Call **ret_call) {
        uint32_t id = call->id;
        Broker *broker = call->broker;
        int r;

        if (call->target->state == DOMAIN_STATE_RUNNING) {
                r = call_connect(call);
        } else {
                r = lifecycle_start(call->target, false);
                if (!r)
                        call_set_state(call, CALL_STATE_STARTING);
                else if (r == LIFECYCLE_E_BACKOFF)
                        r = call_refuse(call, REPLY_REASON_UNAVAILABLE,
                                        "the target could not be started a moment ago, and is not tried again yet");
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

/*
 * Told first, recorded afterwards: what a caller can measure is the decision alone, and that takes the same time
 * whether its target exists or not.
 */
static int call_refuse_request(const CallRequest *request, uint32_t id, ReplyReason reason,
                               const ConfigDecision *decision, uint64_t asked_usec) {
        uint64_t usec = clock_now() - asked_usec;
        Broker *broker = request->source->broker;
        int r;

        r = request->origin->refused(request->origin, id, reason);
        r = r ?: call_record_refused(request, id, reason, decision, usec);
        r = r ?: call_notify(request, decision);
        r = r ?: timing_add(&broker->timing, "(refused)", STAGE_DECIDE, usec);
        return r;
}

static int call_refuse_early(const CallRequest *request, uint32_t id, ReplyReason reason, const char *why,
                             uint64_t asked_usec) {
        ConfigDecision decision = { .source = request->source->name, .requested_target = *request->requested_target };

        snprintf(decision.why, sizeof(decision.why), "denied: %s", why);
        return call_refuse_request(request, id, reason, &decision, asked_usec);
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
                strcpy(decision.why, "denied: dom0 is no relay");
        } else if (!target) {
                strcpy(decision.why, "denied: calls of dom0 have to name a domain that has an account here");
        } else if (domain_is_dom0(target) && !management_is_service(request->service)) {
                strcpy(decision.why, "denied: loopback qrexec connection not supported");
        } else {
                decision.allowed = true;
                decision.target = target->name;
                strcpy(decision.allowed_to.text, target->name.text); /* shorter */
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

/* A service of the broker's own: what it says goes to the caller over a stream whose other end is ours. */
static int call_serve(const CallRequest *request, uint32_t id, const ConfigDecision *decision, uint64_t asked_usec,
                      bool is_recorded) {
        Broker *broker = request->source->broker;
        _cleanup_fd_ int fd = -1;
        Served *served;
        int r;

        r = served_new(broker, id, request->source, request->service, is_recorded, &served, &fd);
        if (r == SERVED_E_LIMIT)
                return call_refuse_early(request, id, REPLY_REASON_UNAVAILABLE, "out of descriptors", asked_usec);
        if (r)
                return error_fold(r);
        if (is_recorded)
                r = call_record_start(request, id, decision, clock_now() - asked_usec)
                            ?: call_notify(request, decision);
        r = r ?: management_serve(broker, request->service, served);
        r = r ?: request->origin->connected(request->origin, id, WIRE_DOMAIN_FRAMED, &fd, 1);
        return r;
}

/*
 * What cannot be recorded is refused; only the questions of root about just this are answered. Either is counted, and
 * the audit says how many there were when it can.
 */
static int call_unrecorded(const CallRequest *request, uint32_t id, uint64_t asked_usec) {
        Broker *broker = request->source->broker;
        ConfigDecision decision;

        audit_count_lost(broker->audit, request->source);
        if (domain_is_dom0(request->source) && management_is_service(request->service)) {
                call_decide_dom0(broker, request, &decision);
                if (decision.allowed && domain_name_is_dom0(&decision.target))
                        return error_trace(call_serve(request, id, &decision, asked_usec, false));
        }
        return error_trace(request->origin->refused(request->origin, id, REPLY_REASON_UNAVAILABLE));
}

/* Where an allowed call goes; NULL: it is refused after all, and @decision and *@ret_reason say why. */
static Domain *call_find_target(Broker *broker, ConfigDecision *decision, ReplyReason *ret_reason) {
        Domain *target = domain_table_find(&broker->domains, decision->target.text);

        if (!target) {
                strcpy(decision->why, "denied: the target has no account here, so nothing can run there");
                *ret_reason = REPLY_REASON_UNAVAILABLE;
                decision->allowed = false;
                return NULL;
        }
        if (target->state != DOMAIN_STATE_RUNNING && !decision->autostart) {
                strcpy(decision->why, "denied: the target does not run, and the rule forbids starting it");
                *ret_reason = REPLY_REASON_REFUSED;
                decision->allowed = false;
                return NULL;
        }
        return target;
}

/* Allowed, and the target is known: from here on it has records at both ends. */
static int call_begin(Call *call, const CallRequest *request, const ConfigDecision *decision, Call **ret_call) {
        int r;

        call->relay_name = decision->is_relayed ? request->source->name : (DomainName){};
        call->source_name = decision->source;
        call->target_name = decision->is_remote ? decision->allowed_to : (RequestName){};
        call->notify = decision->is_notify || decision->was_asked;
        if (call->state == CALL_STATE_DECIDING)
                call_count_time(call);
        call_book(call);
        r = call_record_start(request, call->id, decision, call->stage_usec[STAGE_DECIDE]);
        r = r ?: call_notify(request, decision);
        r = r ?: call_format(call, decision, decision->service ?: request->service);
        if (r)
                return error_trace(r);
        if (!call->command)
                return error_trace(call_refuse(call, REPLY_REASON_UNAVAILABLE, "no command can be made of it"));
        return error_trace(call_proceed(call, ret_call));
}

/* A person is asked, or was, to no avail: the end of a call that never began. */
static int call_refuse_asked(Call *call, const CallRequest *request, const ConfigDecision *decision, ReplyReason reason,
                             const char *how) {
        CallOrigin *origin = steal_ptr(&call->origin);
        Broker *broker = call->broker;
        uint32_t id = call->id;
        int r;

        call_count_time(call);
        r = origin ? origin->refused(origin, id, reason) : 0;
        r = r ?: call_record_refused(request, id, reason, decision, call->stage_usec[STAGE_DECIDE]);
        r = r ?: call_notify(request, decision);
        r = r ?: timing_add(&broker->timing, "(refused)", STAGE_DECIDE, call->stage_usec[STAGE_DECIDE]);
        r = r ?: timing_add(&broker->timing, "(refused)", STAGE_ASK, call->stage_usec[STAGE_ASK]);
        if (!r && call->killer)
                r = management_on_call_ended(call->killer, id, how, 125);
        call_free(call);
        return r;
}

/* The same, on our own initiative. */
static int call_stop_asking(Call *call, ReplyReason reason, const char *how, const char *why) {
        CallRequest request = prompt_request(call->asking.prompt);
        ConfigDecision decision = *prompt_decision(call->asking.prompt);

        snprintf(decision.why, sizeof(decision.why), "denied: %s", why);
        return error_trace(call_refuse_asked(call, &request, &decision, reason, how));
}

int call_on_answer(Call *call, const CallRequest *request, const ConfigDecision *answer) {
        ReplyReason reason = REPLY_REASON_REFUSED;
        ConfigDecision decision = *answer;
        Domain *target = NULL;

        if (decision.allowed && domain_name_is_dom0(&decision.target) && management_is_service(request->service)) {
                CallRequest again = *request;
                uint32_t id = call->id;
                uint64_t start_usec = call->start_usec;

                again.origin = steal_ptr(&call->origin);
                call_free(call);
                return error_trace(call_serve(&again, id, &decision, start_usec, true));
        }
        if (decision.allowed)
                target = call_find_target(call->broker, &decision, &reason);
        if (!target)
                return error_trace(call_refuse_asked(call, request, &decision, reason, "refused"));
        call_set_target(call, target);
        prompt_leave(call);
        return error_trace(call_begin(call, request, &decision, &(Call *){ NULL }));
}

static int call_ask(const CallRequest *request, uint32_t id, ConfigDecision *decision, uint64_t asked_usec,
                    Call **ret_call) {
        Broker *broker = request->source->broker;
        Call *call;
        int r;

        r = call_new(broker, id, request->source, NULL, request->service, asked_usec, &call);
        if (r)
                return error_trace(r);
        call->origin = request->origin;
        call->mode = request->mode;
        call->relay_name = decision->is_relayed ? request->source->name : (DomainName){};
        call->source_name = decision->source;
        call->target_name = decision->requested_target;
        call_set_state(call, CALL_STATE_ASKING);
        r = prompt_join(broker, call, request, decision);
        if (r == PROMPT_E_REFUSED)
                return error_trace(call_refuse_asked(call, request, decision, REPLY_REASON_REFUSED, "refused"));
        *ret_call = r ? NULL : call;
        return error_fold(r);
}

int call_request(Broker *broker, const CallRequest *request, Call **ret_call) {
        uint64_t asked_usec = clock_now();
        size_t n_calls_max = config_max_calls(broker->config, &request->source->name) ?: request->source->n_calls_max;
        _cleanup_(domain_unrefp) Domain *source = domain_ref(request->source); /* once refused, its origin is gone */
        ReplyReason reason = REPLY_REASON_REFUSED;
        ConfigDecision decision;
        Domain *target = NULL;
        uint32_t id;
        Call *call;
        int r;

        *ret_call = NULL;
        r = call_take_id(broker, &id);
        if (r)
                return error_trace(r);
        if (!audit_admits(broker->audit, source))
                return error_trace(call_unrecorded(request, id, asked_usec));
        if (id == 0)
                return error_trace(call_refuse_early(request, id, REPLY_REASON_UNAVAILABLE,
                                                     "no call ids: the supervisor is behind", asked_usec));
        if (source->n_calls >= n_calls_max)
                return error_trace(
                        call_refuse_early(request, id, REPLY_REASON_TOO_MANY, "too many open calls", asked_usec));
        r = call_decide(broker, request, &decision);
        if (!r && decision.is_ask)
                r = grant_consult(broker, request, &decision);
        if (r)
                return error_fold(r);
        if (decision.is_error && config_is_out_of_reach(broker->config))
                return error_trace(broker_retire(broker));
        if (decision.is_ask)
                return error_trace(call_ask(request, id, &decision, asked_usec, ret_call));
        if (decision.allowed && domain_name_is_dom0(&decision.target) && management_is_service(request->service))
                return error_trace(call_serve(request, id, &decision, asked_usec, true));
        if (decision.allowed)
                target = call_find_target(broker, &decision, &reason);
        if (!target)
                return error_trace(call_refuse_request(request, id, reason, &decision, asked_usec));

        r = call_new(broker, id, source, target, request->service, asked_usec, &call);
        if (r)
                return error_trace(r);
        call->origin = request->origin;
        call->mode = request->mode;
        return error_trace(call_begin(call, request, &decision, ret_call));
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

int call_command(Broker *broker, const CallCommand *asked, Call **ret_call) {
        static const RequestName nobody = {};
        _cleanup_free_ char *command = NULL, *service = NULL;
        uint64_t asked_usec = clock_now();
        RequestName requested_target;
        ConfigDecision decision = { .source = asked->source->name, .target = asked->target->name, .allowed = true };
        CallRequest request = {
                .source = asked->source,
                .requested_source = &nobody,
                .requested_target = &requested_target,
                .service = "(no service)",
                .origin = asked->origin,
        };
        Command parsed;
        uint32_t id;
        Call *call;
        int r;

        *ret_call = NULL;
        strcpy(requested_target.text, asked->target->name.text); /* shorter */
        decision.requested_target = requested_target;
        decision.allowed_to = requested_target;
        r = call_take_id(broker, &id);
        if (r)
                return error_trace(r);
        if (!audit_admits(broker->audit, asked->source)) {
                audit_count_lost(broker->audit, asked->source);
                return error_trace(asked->origin->refused(asked->origin, id, REPLY_REASON_UNAVAILABLE));
        }
        if (id == 0)
                return error_trace(call_refuse_early(&request, id, REPLY_REASON_UNAVAILABLE,
                                                     "no call ids: the supervisor is behind", asked_usec));
        command = call_substitute_user(asked->command, config_account(broker->config, &asked->target->name));
        if (!command)
                return error_origin(-ENOMEM);
        if (command_parse(command, true, &parsed) || strlen(command) >= EXEC_COMMAND_MAX)
                return error_trace(call_refuse_early(&request, id, REPLY_REASON_NOT_UNDERSTOOD,
                                                     "the command cannot be parsed", asked_usec));
        service = parsed.is_service ? strndup(parsed.descriptor.text, parsed.descriptor.n) : strdup("(shell command)");
        if (!service)
                return error_origin(-ENOMEM);
        request.service = service;

        r = call_new(broker, id, asked->source, asked->target, service, asked_usec, &call);
        if (r)
                return error_trace(r);
        call->origin = asked->origin;
        call->mode = asked->mode;
        call->just_exec = asked->just_exec;
        call->command = steal_ptr(&command);
        call_count_time(call);
        call_book(call);
        r = call_record_start(&request, id, &decision, call->stage_usec[STAGE_DECIDE]);
        if (r)
                return error_trace(r);
        return error_trace(call_proceed(call, ret_call));
}

void call_cancel(Call *call) {
        call->origin = NULL;
        if (call->state == CALL_STATE_RUNNING)
                return;
        if (call->state == CALL_STATE_ASKING) {
                Broker *broker = call->broker;
                int r = call_stop_asking(call, REPLY_REASON_REFUSED, "cancelled",
                                         "the caller hung up while a person was asked");

                if (r < 0)
                        (void)sd_event_exit(broker->event, r);
                return;
        }
        call_end(call, "cancelled", "the caller hung up before it began", -1, 0);
}

int call_kill(Call *call) {
        CallOrigin *origin;
        int r;

        if (call->state == CALL_STATE_RUNNING) {
                Link *link = call->drained_by ?: call->target->link;

                r = link ? link_send_kill(link, call->id) : LINK_E_GONE;
                if (r == LINK_E_GONE || r == LINK_E_FULL)
                        return CALL_KILL_E_AWAY;
                return r == LINK_E_QUEUED ? 0 : error_fold(r);
        }
        if (call->state == CALL_STATE_ASKING)
                return error_trace(call_stop_asking(call, REPLY_REASON_UNAVAILABLE, call_how_text(CALL_HOW_KILLED),
                                                    "it was ended while a person was asked"));
        origin = steal_ptr(&call->origin);
        r = origin ? origin->refused(origin, call->id, REPLY_REASON_UNAVAILABLE) : 0;
        call_end(call, call_how_text(CALL_HOW_KILLED), "it had not begun", 125, 0);
        return error_trace(r);
}

void call_on_ended(Call *call, const CallEnded *ended) {
        call_end(call, call_how_text(ended->how), NULL, ended->status, ended->run_usec);
}
