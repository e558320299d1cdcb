/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/number.h"
#include "base/watch.h"
#include "broker/broker.h"
#include "broker/grant.h"
#include "broker/owncall.h"
#include "broker/promptrequest.h"
#include "policy/question.h"
#include "wire/answer.h"

#define PROMPT_SERVICE       "policy.Ask"
#define PROMPT_COUNT_SERVICE "policy.AskCount"
/* Between two messages of how many wait: each is a call, and a thousand requests are not to be a thousand of them. */
#define PROMPT_COUNT_USEC (USEC_PER_SEC / 4)

struct Prompt {
        Prompt *next, **place;
        Broker *broker;
        Domain *source;
        RequestName requested_source, requested_target;
        char *service;
        ConfigDecision decision; /* the one that asks */
        AskDurations allow_for, quiet_for;
        uint32_t timeout_sec;
        char name[PROMPT_NAME_SIZE];

        Call *first, *last; /* who waits, in the order in which they came */
        size_t n_calls;
        unsigned n_joined;   /* how many ever came: each call knows its number */
        unsigned n_said;     /* up to which number the window has said that they wait … */
        unsigned n_saying;   /* … and is being told that they do */
        size_t n_calls_said; /* how many that were */
        bool is_answering;   /* its calls leave one by one */

        OwnCall *ask;
        OwnCall *count;         /* telling the window how many wait; NULL: nothing to tell */
        bool no_count;          /* there is nobody who understands */
        uint64_t count_usec;    /* when the last one was begun … */
        sd_event_source *pause; /* … and what waits until the next may be; NULL: nothing does */
        sd_event_source *deadline;
};

static Prompt *prompt_free(Prompt *prompt) {
        if (!prompt)
                return NULL;
        if (prompt->place) {
                *prompt->place = prompt->next;
                if (prompt->next)
                        prompt->next->place = prompt->place;
        }
        for (Call *call = prompt->first; call; call = call->asking.next)
                call->asking.prompt = NULL;
        sd_event_source_disable_unref(prompt->deadline);
        sd_event_source_disable_unref(prompt->pause);
        own_call_free(prompt->count);
        own_call_free(prompt->ask);
        domain_unref(prompt->source);
        free(prompt->service);
        free(prompt);
        return NULL;
}
DEFINE_CLEANUP(Prompt *, prompt_free)

void prompt_free_all(Broker *broker) {
        while (broker->prompts)
                prompt_free(broker->prompts);
}

const ConfigDecision *prompt_decision(const Prompt *prompt) {
        return &prompt->decision;
}

CallRequest prompt_request(const Prompt *prompt) {
        return (CallRequest){
                .source = prompt->source,
                .requested_source = &prompt->requested_source,
                .requested_target = &prompt->requested_target,
                .service = prompt->service,
        };
}

static void prompt_append(Prompt *prompt, Call *call) {
        call->asking = (CallAsking){ .prompt = prompt, .previous = prompt->last, .number = ++prompt->n_joined };
        if (prompt->last)
                prompt->last->asking.next = call;
        else
                prompt->first = call;
        prompt->last = call;
        ++prompt->n_calls;
}

/* Without looking at who is left. */
static void prompt_detach(Prompt *prompt, Call *call) {
        if (call->asking.previous)
                call->asking.previous->asking.next = call->asking.next;
        else
                prompt->first = call->asking.next;
        if (call->asking.next)
                call->asking.next->asking.previous = call->asking.previous;
        else
                prompt->last = call->asking.previous;
        call->asking = (CallAsking){};
        --prompt->n_calls;
}

static int prompt_tell_count(Prompt *prompt);

void prompt_leave(Call *call) {
        Prompt *prompt = call->asking.prompt;
        int r;

        if (!prompt)
                return;
        prompt_detach(prompt, call);
        if (prompt->is_answering)
                return;
        if (prompt->n_calls == 0) {
                prompt_free(prompt);
                return;
        }
        r = prompt_tell_count(prompt);
        if (r < 0)
                (void)sd_event_exit(prompt->broker->event, r);
}

/* The end of it: all that wait are refused. */
static int prompt_refuse(Prompt *prompt, const ConfigDecision *decision) {
        int r = 0;

        prompt->is_answering = true;
        while (!r && prompt->first) {
                CallRequest request = prompt_request(prompt);

                r = call_on_answer(prompt->first, &request, decision);
        }
        prompt_free(prompt);
        return error_trace(r);
}

static int prompt_fail(Prompt *prompt, const char *why, bool is_error) {
        ConfigDecision decision = prompt->decision;

        snprintf(decision.why, sizeof(decision.why), "denied: %s", why);
        decision.is_error = is_error;
        decision.is_notify = decision.is_notify || is_error;
        return error_trace(prompt_refuse(prompt, &decision));
}

static int prompt_start(Prompt *prompt);

/* The answer held for those that the window had spoken of; the others are asked about now. */
static int prompt_go_on(Prompt *prompt) {
        int r;

        if (prompt->n_calls == 0) {
                prompt_free(prompt);
                return 0;
        }
        prompt->deadline = sd_event_source_disable_unref(prompt->deadline);
        prompt->count = own_call_free(prompt->count);
        r = prompt_start(prompt);
        if (r == PROMPT_E_REFUSED) {
                ConfigDecision decision = prompt->decision;

                return error_trace(prompt_refuse(prompt, &decision));
        }
        return error_fold(r);
}

/* Yes: but inventory and policy are looked at once more, for each of them. */
static int prompt_allow(Prompt *prompt, const Answer *answer) {
        char choice[ANSWER_MAX + 1];
        unsigned n_last = prompt->n_said;
        uint32_t grant = 0;
        int r = 0;

        memcpy(choice, answer->target, answer->n_target);
        choice[answer->n_target] = '\0';
        prompt->is_answering = true;
        while (!r && prompt->first && prompt->first->asking.number <= n_last) {
                CallRequest request = prompt_request(prompt);
                ConfigDecision decision;

                r = config_decide_chosen(prompt->broker->config, &prompt->source->name, &prompt->requested_source,
                                         &prompt->requested_target, prompt->service, choice, prompt->decision.asks,
                                         &decision);
                if (r)
                        break;
                decision.guivm = prompt->decision.guivm;
                decision.was_asked = true;
                if (decision.allowed && answer->sec > 0 && grant == 0)
                        r = grant_add(prompt->broker, &request, &prompt->decision, choice, answer->sec, &grant);
                if (grant != 0)
                        n_last = UINT32_MAX; /* said for all that will come, so for those that have come, too */
                decision.grant = grant;
                r = r ?: call_on_answer(prompt->first, &request, &decision);
        }
        prompt->is_answering = false;
        return r ? error_trace(r) : prompt_go_on(prompt);
}

static int prompt_deny(Prompt *prompt, const Answer *answer) {
        char why[CONFIG_RULE_MAX + 64];
        int r;

        if (answer->sec > 0) {
                CallRequest request = prompt_request(prompt);

                r = grant_add(prompt->broker, &request, &prompt->decision, NULL, answer->sec, &(uint32_t){ 0 });
                if (r)
                        return error_trace(r);
        }
        snprintf(why, sizeof(why), "denied by the user %s", prompt->decision.rule);
        return error_trace(prompt_fail(prompt, why, false));
}

static int prompt_on_answer(void *userdata, const OwnCallEnd *end) {
        Prompt *prompt = userdata;
        const AskDurations *offered;
        char why[CONFIG_WHY_MAX];
        Answer answer;
        int r;

        if (end->problem) {
                snprintf(why, sizeof(why), "nobody could be asked: the policy agent in %s: %s",
                         prompt->decision.guivm.text, end->problem);
                return error_trace(prompt_fail(prompt, why, false));
        }
        if (end->n_answer == 0) {
                snprintf(why, sizeof(why), "nobody could be asked: the policy agent in %s closed without an answer",
                         prompt->decision.guivm.text);
                return error_trace(prompt_fail(prompt, why, false));
        }
        r = answer_decode(end->untrusted_answer, end->n_answer, &answer);
        offered = r || answer.allow ? &prompt->allow_for : &prompt->quiet_for;
        if (r || (answer.sec > 0 && !ask_durations_have(offered, answer.sec))) {
                log_error("invalid ask response for %.*s: %s", (int)strcspn(prompt->service, "+"), prompt->service,
                          ESCAPED(end->untrusted_answer, end->n_answer));
                return error_trace(prompt_fail(prompt, "invalid response", true));
        }
        /* What it points into goes with the call. */
        r = answer.allow ? prompt_allow(prompt, &answer) : prompt_deny(prompt, &answer);
        return error_trace(r);
}

static int prompt_on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Prompt *prompt = userdata;
        char why[64];

        snprintf(why, sizeof(why), "nobody answered for %u seconds", prompt->timeout_sec);
        return error_trace(prompt_fail(prompt, why, false));
}

/*
 * How many wait
 */

/* It says the number again that it shows. */
static int prompt_on_counted(void *userdata, const OwnCallEnd *end) {
        Prompt *prompt = userdata;
        uint64_t count = 0;
        bool understood = !end->problem && !number_parse(end->untrusted_answer, end->n_answer, 1, UINT32_MAX, &count) &&
                          count == prompt->n_calls_said;

        prompt->count = own_call_free(prompt->count);
        if (!understood) {
                /* Upstream's agent has no such service: there, each request is a question of its own. */
                prompt->no_count = true;
                return 0;
        }
        prompt->n_said = prompt->n_saying;
        return error_trace(prompt_tell_count(prompt));
}

static int prompt_on_pause(sd_event_source *source, uint64_t usec, void *userdata) {
        Prompt *prompt = userdata;

        prompt->pause = sd_event_source_disable_unref(prompt->pause);
        return error_trace(prompt_tell_count(prompt));
}

/* One message at a time: while it is under way others may come, who are in the next. */
static int prompt_tell_count(Prompt *prompt) {
        uint64_t passed_usec = clock_now() - prompt->count_usec;
        char text[128];
        int n, r;

        if (prompt->count || prompt->pause || prompt->no_count ||
            (prompt->n_said == prompt->n_joined && prompt->n_calls_said == prompt->n_calls))
                return 0;
        if (passed_usec < PROMPT_COUNT_USEC)
                return error_trace(watch_time(prompt->broker->event, PROMPT_COUNT_USEC - passed_usec, 0,
                                              prompt_on_pause, prompt, &prompt->pause));
        prompt->count_usec = clock_now();
        n = snprintf(text, sizeof(text), "{\"prompt\": \"%s\", \"requests\": %zu}", prompt->name, prompt->n_calls);
        prompt->n_saying = prompt->n_joined;
        prompt->n_calls_said = prompt->n_calls;
        r = own_call_new(prompt->broker, &prompt->decision.guivm, PROMPT_COUNT_SERVICE, text, (size_t)n,
                         prompt_on_counted, prompt, &prompt->count);
        return r == OWN_CALL_E_NOWHERE ? 0 : error_fold(r);
}

/*
 * Asking
 */

static void prompt_make_name(char ret_name[static PROMPT_NAME_SIZE]) {
        uint8_t random[(PROMPT_NAME_SIZE - 1) / 2] = {};

        /* The kernel has what it takes by the time that anybody calls; a poor name lets a wrong number be shown. */
        (void)!getrandom(random, sizeof(random), GRND_NONBLOCK);
        for (size_t i = 0; i < sizeof(random); ++i)
                snprintf(ret_name + 2 * i, 3, "%02x", random[i]);
}

static int prompt_arm(Prompt *prompt) {
        return error_trace(watch_time(prompt->broker->event, prompt->timeout_sec * USEC_PER_SEC, 0, prompt_on_deadline,
                                      prompt, &prompt->deadline));
}

/* The question as it is now: for requests that came late, policy may have changed. Return: 0, PROMPT_E_REFUSED … */
static int prompt_start(Prompt *prompt) {
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        const AskConfig *config = grant_config(prompt->broker);
        ConfigDecision *decision = &prompt->decision;
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = config_ask(prompt->broker->config, &prompt->source->name, &prompt->requested_source,
                       &prompt->requested_target, prompt->service, decision, &question);
        if (r)
                return error_trace(r);
        if (!question) {
                if (decision->why[0] == '\0')
                        strcpy(decision->why, "denied: the policy changed before a person had been asked");
                return PROMPT_E_REFUSED;
        }
        if (decision->is_relays_guivm && config->no_relay_guivm)
                decision->guivm = (DomainName){};
        decision->was_asked = true;
        prompt->timeout_sec = config->timeout_sec;
        prompt->quiet_for = config->quiet_for;
        prompt->allow_for =
                decision->is_unknown_source ? (AskDurations){} : ask_config_allow_for(config, prompt->service);
        prompt_make_name(prompt->name);
        r = prompt_request_format(&(PromptRequest){ .question = question,
                                                    .prompt = prompt->name,
                                                    .allow_for = &prompt->allow_for,
                                                    .quiet_for = &prompt->quiet_for,
                                                    .timeout_sec = prompt->timeout_sec },
                                  &text, &n);
        if (r)
                return error_trace(r);
        prompt->ask = own_call_free(prompt->ask);
        r = decision->guivm.text[0] == '\0' ? OWN_CALL_E_NOWHERE
                                            : own_call_new(prompt->broker, &decision->guivm, PROMPT_SERVICE, text, n,
                                                           prompt_on_answer, prompt, &prompt->ask);
        if (r == OWN_CALL_E_NOWHERE) {
                snprintf(decision->why, sizeof(decision->why),
                         "denied: %.*s not allowed from %s: the resolution was \"ask\", but source domain has no "
                         "GuiVM%s",
                         (int)strcspn(prompt->service, "+"), prompt->service, decision->source.text,
                         decision->guivm.text[0] == '\0' ? "" : " that can be reached");
                decision->is_error = true;
                return PROMPT_E_REFUSED;
        }
        if (r)
                return error_fold(r);
        /* It speaks of one, who has come first. */
        prompt->n_said = prompt->first ? prompt->first->asking.number : 1;
        prompt->n_saying = prompt->n_said;
        prompt->n_calls_said = 1;
        r = prompt_arm(prompt);
        if (r)
                return error_trace(r);
        return prompt->n_calls > 1 ? error_trace(prompt_tell_count(prompt)) : 0;
}

/* The open prompt that asks the same for the same domain; *@ret_n_source: how many it has. */
static Prompt *prompt_find(const Broker *broker, const CallRequest *request, const ConfigDecision *decision,
                           size_t *ret_n_source) {
        Prompt *found = NULL;
        size_t n = 0;

        for (Prompt *prompt = broker->prompts; prompt; prompt = prompt->next) {
                if (prompt->source != request->source)
                        continue;
                ++n;
                if (!prompt->is_answering && strcmp(prompt->decision.asks, decision->asks) == 0 &&
                    strcmp(prompt->decision.guivm.text, decision->guivm.text) == 0 &&
                    strcmp(prompt->service, request->service) == 0 &&
                    strcmp(prompt->requested_target.text, request->requested_target->text) == 0 &&
                    strcmp(prompt->requested_source.text, request->requested_source->text) == 0)
                        found = prompt;
        }
        *ret_n_source = n;
        return found;
}

static int prompt_new(Broker *broker, const CallRequest *request, ConfigDecision *decision, Prompt **ret_prompt) {
        _cleanup_(prompt_freep) Prompt *prompt = NULL;
        int r;

        prompt = malloc(sizeof(*prompt));
        if (!prompt)
                return error_origin(-ENOMEM);
        *prompt = (Prompt){
                .broker = broker,
                .source = domain_ref(request->source),
                .requested_source = *request->requested_source,
                .requested_target = *request->requested_target,
                .service = strdup(request->service),
                .decision = *decision,
        };
        if (!prompt->service)
                return error_origin(-ENOMEM);
        r = prompt_start(prompt);
        if (r) {
                *decision = prompt->decision;
                return r == PROMPT_E_REFUSED ? PROMPT_E_REFUSED : error_fold(r);
        }
        prompt->next = broker->prompts;
        if (prompt->next)
                prompt->next->place = &prompt->next;
        prompt->place = &broker->prompts;
        broker->prompts = prompt;
        *ret_prompt = steal_ptr(&prompt);
        return 0;
}

int prompt_join(Broker *broker, Call *call, const CallRequest *request, ConfigDecision *decision) {
        size_t n_source;
        Prompt *prompt = prompt_find(broker, request, decision, &n_source);

        if (!prompt) {
                int r;

                if (n_source >= PROMPT_SOURCE_MAX) {
                        snprintf(decision->why, sizeof(decision->why),
                                 "denied: %zu questions about calls of %s are open already", n_source,
                                 request->source->name.text);
                        return PROMPT_E_REFUSED;
                }
                r = prompt_new(broker, request, decision, &prompt);
                if (r)
                        return r == PROMPT_E_REFUSED ? r : error_fold(r);
        }
        prompt_append(prompt, call);
        return error_trace(prompt_tell_count(prompt));
}
