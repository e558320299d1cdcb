/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-oracle.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fuzz.h"
#include "policy/evaluate.h"
#include "policy/question.h"

typedef char Text[ORACLE_TEXT_MAX];

typedef enum Answer { NO, YES, FAULT } Answer;

/** What is judged: the texts after 4.4, 5.1 and 5.2. */
typedef struct Oracle {
        const Policy *policy;
        const OracleInventory *inventory;
        const OracleRequest *request;
        Text source, target, service, argument;
} Oracle;

static const PolicyDomainInput *find(const Oracle *oracle, const char *text) {
        for (size_t i = 0; i < oracle->inventory->n_domains; ++i) {
                const PolicyDomainInput *domain = &oracle->inventory->domains[i];
                Text uuid;

                if (strcmp(domain->name, text) == 0)
                        return domain;
                snprintf(uuid, sizeof(uuid), "uuid:%s", domain->uuid ?: "none");
                if (domain->uuid && strcmp(uuid, text) == 0)
                        return domain;
        }
        return NULL;
}

static bool is_dom0(const char *text) {
        return strcmp(text, "dom0") == 0 || strcmp(text, "@adminvm") == 0 ||
               strcmp(text, "uuid:00000000-0000-0000-0000-000000000000") == 0;
}

static bool is_uuid(const char *text) {
        return strncmp(text, "uuid:", 5) == 0;
}

static bool same(const Oracle *oracle, const char *a, const char *b) {
        const PolicyDomainInput *domain;

        if (is_uuid(a) == is_uuid(b))
                return strcmp(a, b) == 0;
        domain = find(oracle, is_uuid(a) ? b : a);
        return domain && domain->uuid && strcmp(domain->uuid, (is_uuid(a) ? a : b) + 5) == 0;
}

static bool names(const Oracle *oracle, const char *rule, const char *text) {
        return is_dom0(rule) ? is_dom0(text) : same(oracle, rule, text);
}

static Answer has_tag(const PolicyDomainInput *domain, const char *tag) {
        if (!domain->has_tags)
                return FAULT;
        for (size_t i = 0; i < domain->n_tags; ++i)
                if (strcmp(domain->tags[i], tag) == 0)
                        return YES;
        return NO;
}

static Answer has_type(const PolicyDomainInput *domain, const char *type) {
        if (!domain->type)
                return FAULT;
        return strcmp(domain->type, type) == 0 ? YES : NO;
}

static Answer is_base(const PolicyDomainInput *domain) {
        switch (domain->template_for_dispvms) {
        case POLICY_FACT_YES:
                return YES;
        case POLICY_FACT_NO:
                return NO;
        case POLICY_FACT_UNKNOWN:
                break;
        }
        return FAULT;
}

/* A word with NUL in it is no word of any domain, type or tag. */
static const char *value(PolicyToken token) {
        return !token.value ? "" : memchr(token.value->text, '\0', token.value->n) ? "\x01" : token.value->text;
}

static bool begins(const char *text, const char *prefix) {
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

#define DISPVM_PREFIX "@dispvm:"

/*
 * Matching (section 4)
 */

static Answer match_source(const Oracle *oracle, PolicyToken rule) {
        const PolicyDomainInput *domain = find(oracle, oracle->source);

        switch (rule.kind) {
        case POLICY_TOKEN_ANY:
                return YES;
        case POLICY_TOKEN_ANYVM:
                return !is_dom0(oracle->source);
        case POLICY_TOKEN_ADMINVM:
                return is_dom0(oracle->source);
        case POLICY_TOKEN_TYPE:
                return domain ? has_type(domain, value(rule)) : NO;
        case POLICY_TOKEN_TAG:
                return domain ? has_tag(domain, value(rule)) : NO;
        case POLICY_TOKEN_NAME:
                return names(oracle, value(rule), oracle->source);
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
        case POLICY_TOKEN_DISPVM_BASE:
        case POLICY_TOKEN_DISPVM_TAG:
                return NO;
        }
        return NO;
}

static Answer match_base(const Oracle *oracle, PolicyToken rule) {
        const PolicyDomainInput *caller = find(oracle, oracle->source), *base;
        const char *target = oracle->target;

        if (begins(target, DISPVM_PREFIX)) {
                base = find(oracle, target + strlen(DISPVM_PREFIX));
                if (rule.kind == POLICY_TOKEN_DISPVM_BASE)
                        return same(oracle, value(rule), target + strlen(DISPVM_PREFIX));
        } else if (strcmp(target, "@dispvm") == 0) {
                if (rule.kind == POLICY_TOKEN_DISPVM_BASE && (!caller || !caller->default_dispvm))
                        return FAULT;
                if (!caller || !caller->default_dispvm)
                        return NO;
                if (rule.kind == POLICY_TOKEN_DISPVM_BASE)
                        return strcmp(value(rule), caller->default_dispvm) == 0;
                base = find(oracle, caller->default_dispvm);
        } else {
                return NO;
        }
        if (!base || is_base(base) == FAULT)
                return FAULT;
        return is_base(base) == YES ? has_tag(base, value(rule)) : NO;
}

static Answer match_target(const Oracle *oracle, PolicyToken rule) {
        const char *target = oracle->target;
        const PolicyDomainInput *domain = target[0] == '@' ? NULL : find(oracle, target);

        switch (rule.kind) {
        case POLICY_TOKEN_ANY:
                return YES;
        case POLICY_TOKEN_ANYVM:
                return !is_dom0(target);
        case POLICY_TOKEN_ADMINVM:
                return is_dom0(target);
        case POLICY_TOKEN_DEFAULT:
                return strcmp(target, "@default") == 0;
        case POLICY_TOKEN_DISPVM:
                return strcmp(target, "@dispvm") == 0;
        case POLICY_TOKEN_TYPE:
                return domain ? has_type(domain, value(rule)) : NO;
        case POLICY_TOKEN_TAG:
                return domain ? has_tag(domain, value(rule)) : NO;
        case POLICY_TOKEN_DISPVM_BASE:
        case POLICY_TOKEN_DISPVM_TAG:
                return match_base(oracle, rule);
        case POLICY_TOKEN_NAME:
                return (target[0] != '@' || is_dom0(target)) && names(oracle, value(rule), target);
        case POLICY_TOKEN_NONE:
                return NO;
        }
        return NO;
}

static bool match_subject(const Oracle *oracle, const PolicyRule *rule) {
        return (!rule->service || strcmp(rule->service->text, oracle->service) == 0) &&
               (!rule->argument || strcmp(rule->argument->text, oracle->argument) == 0);
}

static Answer match(const Oracle *oracle, const PolicyRule *rule) {
        Answer answer;

        if (!match_subject(oracle, rule))
                return NO;
        answer = match_source(oracle, rule->source);
        return answer == YES ? match_target(oracle, rule->target) : answer;
}

/*
 * The request (4.4, 5.1, 5.2)
 */

/* Return: is there a request target? */
static bool request_target(const Oracle *oracle, const char *given, Text ret_target) {
        const PolicyDomainInput *domain;

        snprintf(ret_target, ORACLE_TEXT_MAX, "%s", given[0] ? given : "@default");
        if (begins(ret_target, DISPVM_PREFIX) && ret_target[strlen(DISPVM_PREFIX)] != '@') {
                domain = find(oracle, ret_target + strlen(DISPVM_PREFIX));
                return domain && is_base(domain) == YES;
        }
        if (ret_target[0] == '@')
                return strcmp(ret_target, "@adminvm") == 0 || strcmp(ret_target, "@default") == 0 ||
                       strcmp(ret_target, "@dispvm") == 0;
        if (strcmp(ret_target, "*") == 0)
                return false;
        if (!find(oracle, ret_target))
                snprintf(ret_target, ORACLE_TEXT_MAX, "@default");
        return true;
}

/* Return: may the source speak for it? */
static bool request_source(Oracle *oracle) {
        const char *requested = oracle->request->requested_source;
        const PolicyDomainInput *domain = find(oracle, requested);

        snprintf(oracle->source, ORACLE_TEXT_MAX, "%s", requested[0] ? requested : oracle->request->source);
        return !requested[0] || (domain && domain->type && strcmp(domain->type, "RemoteVM") == 0 && domain->relayvm &&
                                 strcmp(domain->relayvm, oracle->request->source) == 0);
}

/*
 * The answer to an allowed call (5.5 to 5.7)
 */

static const char *default_base(const Oracle *oracle) {
        const PolicyDomainInput *source = find(oracle, oracle->source);

        return source ? source->default_dispvm : NULL;
}

/* Would a call to @target start something? */
static Answer needs_start(const Oracle *oracle, const char *target) {
        const PolicyDomainInput *domain;

        if (is_dom0(target))
                return NO;
        if (target[0] == '@')
                return YES;
        domain = find(oracle, target);
        if (!domain || domain->running == POLICY_FACT_UNKNOWN)
                return FAULT;
        return domain->running == POLICY_FACT_NO ? YES : NO;
}

/* A redirect token as text. */
static void redirect_text(PolicyToken token, Text ret_text) {
        snprintf(ret_text, ORACLE_TEXT_MAX, "%s%s", policy_token_prefix(token.kind), value(token));
}

/* Steps 1 to 5. Return: POLICY_REASON_NONE, and *@ret_target is whom it is allowed to; or why not */
static PolicyReason allowed_target(const Oracle *oracle, const PolicyRule *rule, Text ret_target) {
        const char *base = default_base(oracle);
        Text given;

        snprintf(ret_target, ORACLE_TEXT_MAX, "%s", oracle->target);
        if (rule->redirect.kind != POLICY_TOKEN_NONE) {
                redirect_text(rule->redirect, given);
                if (!request_target(oracle, given, ret_target)) {
                        const PolicyDomainInput *domain = find(oracle, given + strlen(DISPVM_PREFIX));

                        return domain && is_base(domain) == FAULT ? POLICY_REASON_FAULT : POLICY_REASON_NOT_A_BASE;
                }
        }
        if (strcmp(ret_target, "@default") == 0)
                return POLICY_REASON_NO_TARGET;
        if (strcmp(ret_target, "@dispvm") == 0) {
                if (!base)
                        return POLICY_REASON_NO_DEFAULT_BASE;
                snprintf(ret_target, ORACLE_TEXT_MAX, DISPVM_PREFIX "%s", base);
        }
        if (strcmp(ret_target, "@adminvm") == 0)
                snprintf(ret_target, ORACLE_TEXT_MAX, "dom0");
        if (rule->autostart)
                return POLICY_REASON_NONE;
        switch (needs_start(oracle, ret_target)) {
        case NO:
                return POLICY_REASON_NONE;
        case YES:
                return POLICY_REASON_AUTOSTART;
        case FAULT:
                break;
        }
        return POLICY_REASON_FAULT;
}

typedef struct Response {
        const char *user, *target_prefix, *uuid_prefix;
        const char *target, *uuid; /* uuid NULL: none is said */
        char service[4 * ORACLE_TEXT_MAX];
} Response;

/* Of which target the answer speaks. Return: POLICY_REASON_NONE, or why the call is refused after all */
static PolicyReason respond(const Oracle *oracle, const PolicyRule *rule, const char *target, Response *ret_response) {
        Response response = { .user = rule->user && rule->user->n > 0 ? rule->user->text : "DEFAULT",
                              .target_prefix = "",
                              .uuid_prefix = "uuid:",
                              .target = target };
        const PolicyDomainInput *domain, *relay;
        bool is_base = begins(target, DISPVM_PREFIX);

        if (strcmp(target, oracle->source) == 0)
                return POLICY_REASON_LOOPBACK;
        domain = find(oracle, is_base ? target + strlen(DISPVM_PREFIX) : target);
        if (is_dom0(target)) {
                response.target = "dom0";
        } else if (!domain || (!is_base && !domain->type)) {
                return POLICY_REASON_FAULT;
        } else if (!is_base && strcmp(domain->type, "RemoteVM") == 0) {
                if (!domain->relayvm)
                        return POLICY_REASON_NO_RELAY;
                if (!domain->transport_rpc)
                        return POLICY_REASON_NO_TRANSPORT;
                relay = find(oracle, domain->relayvm);
                if (!relay || !relay->uuid)
                        return POLICY_REASON_FAULT;
                response.user = "DEFAULT";
                response.target = domain->relayvm;
                response.uuid = relay->uuid;
                snprintf(response.service, sizeof(response.service), "service=%s+%s+%s%s\n", domain->transport_rpc,
                         domain->name, oracle->service, oracle->argument);
        } else if (!domain->uuid) {
                return POLICY_REASON_FAULT;
        } else {
                response.uuid_prefix = is_base ? DISPVM_PREFIX "uuid:" : "uuid:";
                response.uuid = domain->uuid;
        }
        *ret_response = response;
        return POLICY_REASON_NONE;
}

static void check_refused(const PolicyResolution *resolution, PolicyReason reason) {
        fuzz_check(resolution->outcome == POLICY_OUTCOME_DENY);
        fuzz_check(resolution->reason == reason);
}

/* The engine has allowed it to @target; is that where it goes, and what is it told? */
static void check_routed(const Oracle *oracle, PolicyFacts *facts, const PolicyRule *rule, const char *target,
                         PolicyResolution *resolution) {
        char want[POLICY_RESPONSE_MAX], got[POLICY_RESPONSE_MAX];
        Response response;
        PolicyReason reason = respond(oracle, rule, target, &response);
        Text text;

        fuzz_check(resolution->outcome == POLICY_OUTCOME_ALLOW);
        fuzz_check(policy_target_format(&resolution->target, text, sizeof(text)) == 0);
        fuzz_check(strcmp(text, target) == 0);
        policy_route(facts, resolution);
        if (reason != POLICY_REASON_NONE) {
                check_refused(resolution, reason);
                return;
        }
        snprintf(want, sizeof(want),
                 "user=%s\nresult=allow\ntarget=%s\n%s%s%s%sautostart=%s\nrequested_target=%s\n%s%s%s", response.user,
                 response.target, response.uuid ? "target_uuid=" : "", response.uuid ? response.uuid_prefix : "",
                 response.uuid ?: "", response.uuid ? "\n" : "", rule->autostart ? "True" : "False", oracle->target,
                 response.service, oracle->request->requested_source[0] ? "policy_source=" : "",
                 oracle->request->requested_source);
        if (want[strlen(want) - 1] == '\n')
                want[strlen(want) - 1] = '\0';
        fuzz_check(policy_resolution_response(resolution, got, sizeof(got)) == 0);
        fuzz_check(strcmp(got, want) == 0);
}

/*
 * Questions (5.4)
 */

/** A set of texts. */
typedef struct Choices {
        Text texts[ORACLE_CHOICES_MAX];
        size_t n;
        bool has_fault;
} Choices;

static void choose(Choices *choices, bool offered, const char *prefix, const char *name) {
        Text text;
        size_t i = 0;

        snprintf(text, sizeof(text), "%s%s", prefix, name);
        while (i < choices->n && strcmp(choices->texts[i], text) != 0)
                ++i;
        if (offered && i == choices->n) {
                fuzz_check(choices->n < ORACLE_CHOICES_MAX);
                memcpy(choices->texts[choices->n++], text, sizeof(text));
        } else if (!offered && i < choices->n) {
                memmove(choices->texts[i], choices->texts[choices->n - 1], sizeof(Text));
                --choices->n;
        }
}

static bool is_chosen(const Choices *choices, const char *text) {
        for (size_t i = 0; i < choices->n; ++i)
                if (strcmp(choices->texts[i], text) == 0)
                        return true;
        return false;
}

static void choose_if(Choices *choices, Answer answer, bool offered, const char *prefix, const char *name) {
        choices->has_fault = choices->has_fault || answer == FAULT;
        if (answer == YES)
                choose(choices, offered, prefix, name);
}

/* What a rule about @token adds, or takes away. */
static void expand(const Oracle *oracle, Choices *choices, PolicyToken token, bool offered) {
        const PolicyDomainInput *named = find(oracle, value(token));

        for (size_t i = 0; i < oracle->inventory->n_domains; ++i) {
                const PolicyDomainInput *domain = &oracle->inventory->domains[i];

                if (token.kind == POLICY_TOKEN_NAME && domain == named)
                        choose(choices, offered, "", domain->name);
                if (token.kind == POLICY_TOKEN_TYPE)
                        choose_if(choices, has_type(domain, value(token)), offered, "", domain->name);
                if (token.kind == POLICY_TOKEN_TAG)
                        choose_if(choices, has_tag(domain, value(token)), offered, "", domain->name);
                if (token.kind == POLICY_TOKEN_DISPVM_TAG) {
                        Answer answer = is_base(domain);

                        choose_if(choices, answer == YES ? has_tag(domain, value(token)) : answer, offered,
                                  DISPVM_PREFIX, domain->name);
                }
                if (token.kind == POLICY_TOKEN_ANYVM || token.kind == POLICY_TOKEN_ANY) {
                        if (!is_dom0(domain->name))
                                choose(choices, offered, "", domain->name);
                        choose_if(choices, is_base(domain), offered, DISPVM_PREFIX, domain->name);
                }
        }
        if (token.kind == POLICY_TOKEN_DISPVM_BASE)
                choose_if(choices, named ? is_base(named) : FAULT, offered, DISPVM_PREFIX, named ? named->name : "");
        if (token.kind == POLICY_TOKEN_ADMINVM)
                choose(choices, offered, "", "@adminvm");
        if (token.kind == POLICY_TOKEN_DISPVM || token.kind == POLICY_TOKEN_ANYVM || token.kind == POLICY_TOKEN_ANY)
                choose(choices, offered, "", "@dispvm");
        if (token.kind == POLICY_TOKEN_ANY)
                choose(choices, offered, "", "dom0");
}

static void collect(const Oracle *oracle, Choices *choices) {
        const PolicyDomainInput *source = find(oracle, oracle->source);

        for (size_t i = oracle->policy->n_rules; i-- > 0;) {
                const PolicyRule *rule = &oracle->policy->rules[i];
                Answer answer = match_subject(oracle, rule) ? match_source(oracle, rule->source) : NO;

                choices->has_fault = choices->has_fault || answer == FAULT;
                if (answer == YES)
                        expand(oracle, choices,
                               rule->redirect.kind != POLICY_TOKEN_NONE ? rule->redirect : rule->target,
                               rule->action != POLICY_ACTION_DENY);
        }
        if (is_chosen(choices, "@dispvm")) {
                choose(choices, false, "", "@dispvm");
                if (default_base(oracle)) {
                        choices->has_fault = choices->has_fault || !find(oracle, default_base(oracle));
                        choose(choices, true, DISPVM_PREFIX, default_base(oracle));
                }
        }
        if (is_chosen(choices, "@adminvm")) {
                choose(choices, false, "", "@adminvm");
                choose(choices, true, "", "dom0");
        }
        if (!source || !source->uuid) {
                choices->has_fault = true;
                return;
        }
        choose(choices, false, "", source->name);
        for (size_t i = 0; i < oracle->inventory->n_domains; ++i)
                if (oracle->inventory->domains[i].internal) {
                        choose(choices, false, "", oracle->inventory->domains[i].name);
                        choose(choices, false, DISPVM_PREFIX, oracle->inventory->domains[i].name);
                }
}

static void keep_running(const Oracle *oracle, Choices *choices) {
        for (size_t i = choices->n; i-- > 0;) {
                Answer answer = needs_start(oracle, choices->texts[i]);

                choices->has_fault = choices->has_fault || answer == FAULT;
                if (answer == YES)
                        choose(choices, false, "", choices->texts[i]);
        }
}

/* Which choice is preselected; empty: none. */
static void default_choice(const Oracle *oracle, const Choices *choices, const PolicyRule *rule, Text ret_text) {
        ret_text[0] = '\0';
        if (rule->default_target.kind == POLICY_TOKEN_NONE)
                return;
        redirect_text(rule->default_target, ret_text);
        if (strcmp(ret_text, "@dispvm") == 0)
                snprintf(ret_text, ORACLE_TEXT_MAX, DISPVM_PREFIX "%s", default_base(oracle) ?: "");
        if (is_dom0(ret_text))
                snprintf(ret_text, ORACLE_TEXT_MAX, "dom0");
        if (!is_chosen(choices, ret_text))
                ret_text[0] = '\0';
}

static void check_question(const Oracle *oracle, Policy *policy, PolicyFacts *facts, const PolicyRule *rule,
                           PolicyResolution *resolution) {
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        static Choices choices;
        Text preselected;
        int r;

        choices.n = 0;
        choices.has_fault = false;
        if (rule->redirect.kind != POLICY_TOKEN_NONE) {
                Text text;

                redirect_text(rule->redirect, text);
                choose(&choices, true, "", is_dom0(text) ? "dom0" : text);
        } else {
                collect(oracle, &choices);
        }
        if (!rule->autostart)
                keep_running(oracle, &choices);
        r = policy_question_new(policy, facts, resolution, &question);
        fuzz_check(r >= 0);
        fuzz_check((r == 0) == (question != NULL));
        if (choices.has_fault || choices.n == 0) {
                fuzz_check(!question);
                check_refused(resolution, choices.has_fault ? POLICY_REASON_FAULT : POLICY_REASON_NO_CHOICE);
                return;
        }
        fuzz_check(question);
        fuzz_check(question->n_choices == choices.n);
        default_choice(oracle, &choices, rule, preselected);
        fuzz_check(strcmp(question->default_choice ?: "", preselected) == 0);
        for (size_t i = 0; i < question->n_choices; ++i) {
                PolicyResolution answer;

                fuzz_check(i == 0 || strcmp(question->choices[i - 1], question->choices[i]) < 0);
                fuzz_check(is_chosen(&choices, question->choices[i]));
                policy_question_answer(question, policy_slice(question->choices[i]), &answer);
                check_routed(oracle, facts, rule, question->choices[i], &answer);
        }
}

/*
 * The comparison
 */

static void check_allowed(const Oracle *oracle, PolicyFacts *facts, const PolicyRule *rule,
                          PolicyResolution *resolution) {
        Text target;
        PolicyReason reason = allowed_target(oracle, rule, target);

        if (reason != POLICY_REASON_NONE)
                check_refused(resolution, reason);
        else
                check_routed(oracle, facts, rule, target, resolution);
}

void oracle_check(Policy *policy, PolicyFacts *facts, const OracleInventory *inventory, const OracleRequest *request) {
        PolicyRequest asked = { .source = policy_slice(request->source),
                                .target = policy_slice(request->target),
                                .service = policy_slice(request->service),
                                .requested_source = policy_slice(request->requested_source) };
        Oracle oracle = { .policy = policy, .inventory = inventory, .request = request };
        const char *plus = strchr(request->service, '+');
        const PolicyRule *decider = NULL;
        PolicyResolution resolution;
        Answer answer = NO;

        snprintf(oracle.service, ORACLE_TEXT_MAX, "%.*s", (int)strcspn(request->service, "+"), request->service);
        snprintf(oracle.argument, ORACLE_TEXT_MAX, "%s", plus ?: "+");
        policy_evaluate(policy, facts, &asked, &resolution);
        if (!request_target(&oracle, request->target, oracle.target) || !request_source(&oracle)) {
                fuzz_check(resolution.outcome == POLICY_OUTCOME_DENY && !resolution.rule);
                return;
        }
        for (size_t i = 0; i < policy->n_rules && answer == NO; ++i) {
                answer = match(&oracle, &policy->rules[i]);
                if (answer != NO)
                        decider = &policy->rules[i];
        }
        fuzz_check(resolution.rule == decider);
        if (answer != YES) {
                check_refused(&resolution, answer == NO ? POLICY_REASON_NO_MATCH : POLICY_REASON_FAULT);
                return;
        }
        switch (decider->action) {
        case POLICY_ACTION_DENY:
                check_refused(&resolution, POLICY_REASON_RULE);
                break;
        case POLICY_ACTION_ASK:
                fuzz_check(resolution.outcome == POLICY_OUTCOME_ASK);
                check_question(&oracle, policy, facts, decider, &resolution);
                break;
        case POLICY_ACTION_ALLOW:
                check_allowed(&oracle, facts, decider, &resolution);
                break;
        }
}
