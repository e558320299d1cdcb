/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/handler.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "policy-tools/agentcall.h"
#include "policy/evaluate.h"
#include "policy/question.h"
#include "policy/quote.h"

static const char answer_deny[] = "result=deny", answer_allow[] = "result=allow";

/** One request on its way. */
typedef struct Handling {
        const PolicyHandler *handler;
        const PolicySocketRequest *request;
        PolicySystem *system;
        Policy *policy;
        PolicyQuestion *question;
        PolicyResolution resolution;
        char choice[POLICY_MESSAGE_MAX]; /* what is taken for a person's answer; a refusal points to it */
        bool is_silent;                  /* an `ask` that nobody is asked about */
} Handling;

static void handling_deinit(Handling *handling) {
        policy_question_free(handling->question);
        policy_unref(handling->policy);
        if (handling->system != handling->handler->system)
                policy_system_free(handling->system);
}

/* Texts of the request and of files are shown as policy_show() shows them. */
static int handling_log(const Handling *handling, PolicyLogger logger, const char *format, ...) _printf_(3, 4);
static int handling_log(const Handling *handling, PolicyLogger logger, const char *format, ...) {
        _cleanup_free_ char *text = NULL, *shown = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = text_format_list(format, arguments, &text);
        va_end(arguments);
        if (r)
                return error_trace(r);
        shown = policy_show_new(policy_slice(text));
        if (!shown)
                return error_origin(-ENOMEM);
        handling->handler->log(logger, shown);
        return 0;
}

#define SLICE_ARGUMENTS(_slice) (int)(_slice).n, (_slice).text

/* "qrexec: SERVICE_AND_ARG: SOURCE -> TARGET: WHAT", with the request's texts as received (5.8) */
static int handling_log_refusal(const Handling *handling, const char *what, const char *message) {
        const PolicyRequest *request = &handling->request->request;

        return handling_log(handling, POLICY_LOGGER_POLICY, "qrexec: %.*s: %.*s -> %.*s: %s%s",
                            SLICE_ARGUMENTS(request->service), SLICE_ARGUMENTS(request->source),
                            SLICE_ARGUMENTS(request->target), what, message);
}

static int handling_log_denied(const Handling *handling) {
        char message[POLICY_MESSAGE_MAX];

        policy_resolution_message(&handling->resolution, message, sizeof(message));
        switch (handling->resolution.reason) {
        case POLICY_REASON_TOKEN:
                return handling_log_refusal(handling, "error loading policy: ", message);
        case POLICY_REASON_FAULT:
                return handling_log_refusal(handling, "", message);
        case POLICY_REASON_NONE:
        case POLICY_REASON_NOT_A_BASE:
        case POLICY_REASON_UNKNOWN_SOURCE:
        case POLICY_REASON_SOURCE_NOT_REMOTE:
        case POLICY_REASON_NOT_A_RELAY:
        case POLICY_REASON_NO_MATCH:
        case POLICY_REASON_RULE:
        case POLICY_REASON_NO_TARGET:
        case POLICY_REASON_NO_DEFAULT_BASE:
        case POLICY_REASON_AUTOSTART:
        case POLICY_REASON_NO_CHOICE:
        case POLICY_REASON_USER:
        case POLICY_REASON_BAD_CHOICE:
        case POLICY_REASON_BAD_ANSWER:
        case POLICY_REASON_LOOPBACK:
        case POLICY_REASON_NO_RELAY:
        case POLICY_REASON_NO_TRANSPORT:
                break;
        }
        return handling_log_refusal(handling, "denied: ", message);
}

static int handling_log_allowed(const Handling *handling) {
        const PolicyResolution *resolution = &handling->resolution;
        char requested[POLICY_MESSAGE_MAX] = "", target[POLICY_MESSAGE_MAX] = "";

        (void)policy_target_format(&resolution->requested, requested, sizeof(requested));
        (void)policy_target_format(&resolution->target, target, sizeof(target));
        return handling_log(handling, POLICY_LOGGER_POLICY, "qrexec: %.*s%.*s: %.*s -> %s: allowed to %s",
                            SLICE_ARGUMENTS(resolution->service), SLICE_ARGUMENTS(resolution->argument),
                            SLICE_ARGUMENTS(resolution->source.text), requested, target);
}

static int handling_log_warnings(const Handling *handling, unsigned warnings) {
        char text[POLICY_MESSAGE_MAX];
        int r = 0;

        for (unsigned i = 0; i < _POLICY_WARNING_N && r == 0; ++i)
                if (warnings & BIT(i))
                        r = handling_log(
                                handling, POLICY_LOGGER_ROOT, "%s",
                                policy_resolution_warning(&handling->resolution, (PolicyWarning)i, text, sizeof(text)));
        return r;
}

/*
 * Telling a person (5.8)
 */

/* A notification that fails is logged, and otherwise ignored. @about: whose windows are where the person is */
static int handling_notify(const Handling *handling, const PolicyDomain *about, const PolicyNotice *notice) {
        _cleanup_free_ char *params = NULL, *answer = NULL;
        int r;

        if (!handling->handler->call_agent || handling->request->just_evaluate || !about || !about->guivm ||
            about->guivm->n == 0)
                return 0;
        r = policy_agent_notice(notice, &params);
        r = r ?: handling->handler->call_agent(about->guivm->text, "policy.Notify", params, &answer);
        if (r > 0)
                r = handling_log(handling, POLICY_LOGGER_POLICY, "error calling qrexec-policy-agent in %s",
                                 about->guivm->text);
        return r < 0 ? error_trace(r) : 0;
}

/* Of a refusal: who and what as received. */
static int handling_notify_refused(const Handling *handling) {
        const PolicyRequest *request = &handling->request->request;
        const char *plus = request->service.n > 0 ? memchr(request->service.text, '+', request->service.n) : NULL;
        PolicyNotice notice = { "deny", request->service, POLICY_SLICE("+"), request->source, request->target };

        if (plus) {
                notice.service.n = (size_t)(plus - request->service.text);
                notice.argument = policy_slice_skip(request->service, notice.service.n);
        }
        return handling_notify(handling, policy_facts_lookup(handling->system->facts, request->source), &notice);
}

static int handling_notify_allowed(const Handling *handling) {
        const PolicyResolution *resolution = &handling->resolution;
        char target[POLICY_MESSAGE_MAX] = "";
        PolicyNotice notice = { "allow", resolution->service, resolution->argument, resolution->source.text, {} };

        if (!resolution->notify)
                return 0;
        (void)policy_target_format(&resolution->target, target, sizeof(target));
        notice.target = policy_slice(target);
        return handling_notify(handling, resolution->source.domain, &notice);
}

/*
 * Loading
 */

enum {
        _HANDLING_E_SUCCESS,
        HANDLING_E_REFUSED, /* logged: answer with a refusal */
};

static int handling_load_system(Handling *handling) {
        const PolicyHandler *handler = handling->handler;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        handling->system = handler->system;
        if (handling->system)
                return 0;
        r = policy_system_load_host(handler->system_info, handler->inventory, handler->usual_inventory, &diagnostics,
                                    &handling->system);
        if (r <= 0)
                return error_trace(r);
        r = handling_log_refusal(handling, "error getting system info: ", diagnostics.entries[0].text);
        return r < 0 ? r : HANDLING_E_REFUSED;
}

static int handling_load_policy(Handling *handling) {
        const PolicyHandler *handler = handling->handler;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_free_ char *text = NULL;
        bool is_load;
        int r = 0;

        if (handler->policy)
                handling->policy = policy_ref(handler->policy);
        else
                r = policy_load(&(PolicySources){ .directories = handler->directories,
                                                  .n_directories = handler->n_directories,
                                                  .legacy = handler->legacy },
                                &diagnostics, &handling->policy);
        if (r < 0)
                return error_trace(r);
        if (r > 0) {
                text = diagnostic_format(&diagnostics.entries[0]);
                if (!text)
                        return error_origin(-ENOMEM);
                is_load = r == POLICY_E_LOAD;
                r = handling_log_refusal(handling, is_load ? "denied: " : "error loading policy: ", text);
                if (r == 0 && is_load)
                        r = handling_notify_refused(handling);
                return r < 0 ? r : HANDLING_E_REFUSED;
        }
        for (size_t i = 0; i < handling->policy->warnings.n_entries && r == 0; ++i)
                r = handling_log(handling, POLICY_LOGGER_ROOT, "%s", handling->policy->warnings.entries[i].text);
        return r;
}

/*
 * Deciding
 */

/* The answer of a person, or of the agent instead (5.4). */
static int handling_take_answer(Handling *handling, const char *answer) {
        static const char prefix[] = "allow:";
        PolicyResolution *resolution = &handling->resolution;

        if (strcmp(answer, "deny") == 0) {
                policy_question_refuse(handling->question, POLICY_REASON_USER, resolution);
                return 0;
        }
        if (strncmp(answer, prefix, strlen(prefix)) == 0) {
                snprintf(handling->choice, sizeof(handling->choice), "%s", answer + strlen(prefix));
                policy_question_answer(handling->question, policy_slice(handling->choice), resolution);
                return 0;
        }
        policy_question_refuse(handling->question, POLICY_REASON_BAD_ANSWER, resolution);
        return handling_log(handling, POLICY_LOGGER_POLICY, "invalid ask response for %.*s: %s",
                            SLICE_ARGUMENTS(resolution->service), answer);
}

static int handling_ask(Handling *handling, const char *guivm) {
        _cleanup_free_ char *params = NULL, *answer = NULL;
        int r;

        if (!handling->handler->call_agent) {
                policy_resolution_fault(&handling->resolution, "there is no agent to ask");
                return 0;
        }
        r = policy_agent_question(handling->question, &params);
        r = r ?: handling->handler->call_agent(guivm, "policy.Ask", params, &answer);
        if (r < 0)
                return error_trace(r);
        if (r > 0) {
                policy_resolution_fault(&handling->resolution, "the agent that asks cannot be reached, or has failed");
                return 0;
        }
        return handling_take_answer(handling, answer ?: "");
}

/* What the question comes to, with a person or without (5.11, 5.4). */
static int handling_answer_question(Handling *handling) {
        PolicyResolution *resolution = &handling->resolution;
        const PolicySlice source = resolution->source.text, service = resolution->service;
        const PolicyDomain *domain = resolution->source.domain;
        int r;

        if (handling->request->assume_yes_for_ask) {
                (void)policy_target_format(&resolution->requested, handling->choice, sizeof(handling->choice));
                policy_question_answer(handling->question, policy_slice(handling->choice), resolution);
                return 0;
        }
        if (handling->request->just_evaluate) {
                policy_question_refuse(handling->question, POLICY_REASON_USER, resolution);
                handling->is_silent = true;
                return 0;
        }
        if (domain && domain->guivm && domain->guivm->n > 0)
                return handling_ask(handling, domain->guivm->text);
        r = handling_log(handling, POLICY_LOGGER_POLICY,
                         "%.*s not allowed from %.*s: the resolution was \"ask\", but source domain has no GuiVM",
                         SLICE_ARGUMENTS(service), SLICE_ARGUMENTS(source));
        policy_question_refuse(handling->question, POLICY_REASON_USER, resolution);
        return r;
}

static int handling_decide(Handling *handling) {
        PolicyResolution *resolution = &handling->resolution;
        unsigned warnings;
        int r;

        policy_evaluate(handling->policy, handling->system->facts, &handling->request->request, resolution);
        r = handling_log_warnings(handling, resolution->warnings);
        warnings = resolution->warnings;
        if (r == 0 && resolution->outcome == POLICY_OUTCOME_ASK)
                r = policy_question_new(handling->policy, handling->system->facts, resolution, &handling->question);
        if (r < 0)
                return error_trace(r);
        if (handling->question && handling->question->dropped_default) {
                _cleanup_free_ char *text = policy_question_warning(handling->question);

                r = handling_log(handling, POLICY_LOGGER_ROOT, "%s", text ?: "");
        }
        if (r == 0 && handling->question)
                r = handling_answer_question(handling);
        if (r < 0)
                return r;
        if (resolution->outcome == POLICY_OUTCOME_ALLOW && !handling->request->just_evaluate) {
                r = handling_log_allowed(handling);
                r = r ?: handling_notify_allowed(handling);
                policy_route(handling->system->facts, resolution);
                r = r ?: handling_log_warnings(handling, resolution->warnings & ~warnings);
        }
        if (r == 0 && resolution->outcome == POLICY_OUTCOME_DENY && !handling->is_silent)
                r = handling_log_denied(handling);
        if (r == 0 && resolution->outcome == POLICY_OUTCOME_DENY && resolution->notify)
                r = handling_notify_refused(handling);
        return r;
}

static bool text_is_ascii(const char *text) {
        while (*text != '\0')
                if ((unsigned char)*text++ >= 0x80)
                        return false;
        return true;
}

static int handling_answer(Handling *handling, char **ret_answer) {
        const PolicyResolution *resolution = &handling->resolution;
        char answer[POLICY_RESPONSE_MAX];

        if (handling->request->just_evaluate)
                snprintf(answer, sizeof(answer), "%s",
                         resolution->outcome == POLICY_OUTCOME_ALLOW ? answer_allow : answer_deny);
        else if (policy_resolution_response(resolution, answer, sizeof(answer)) != 0)
                snprintf(answer, sizeof(answer), "%s", answer_deny);
        *ret_answer = NULL;
        if (!text_is_ascii(answer))
                return handling_log_refusal(handling, "internal error: ", "the answer is not ASCII");
        *ret_answer = strdup(answer);
        return *ret_answer ? 0 : error_origin(-ENOMEM);
}

static int handling_run(Handling *handling, char **ret_answer) {
        int r;

        r = handling->system ? 0 : handling_load_system(handling);
        r = r ?: handling_load_policy(handling);
        r = r ?: handling_decide(handling);
        if (r < 0)
                return r;
        if (r == 0)
                return handling_answer(handling, ret_answer);
        *ret_answer = strdup(answer_deny);
        return *ret_answer ? 0 : error_origin(-ENOMEM);
}

int policy_handle(const PolicyHandler *handler, const PolicySocketRequest *request, char **ret_answer) {
        _cleanup_(handling_deinit) Handling handling = { .handler = handler, .request = request };

        return handling_run(&handling, ret_answer);
}

bool policy_handle_is_quick(const PolicyHandler *handler, const PolicySocketRequest *request) {
        PolicyResolution resolution;

        if (!handler->policy || !handler->system)
                return false;
        policy_evaluate(handler->policy, handler->system->facts, &request->request, &resolution);
        return resolution.outcome != POLICY_OUTCOME_ASK && !resolution.notify;
}

/* Does the caller show the domain's windows? */
static bool eval_has_tag(const PolicySystem *system, PolicySlice name, PolicySlice caller) {
        const PolicyDomain *domain = policy_facts_lookup(system->facts, name);
        const PolicySlice prefix = POLICY_SLICE("guivm-");

        for (size_t i = 0; domain && i < domain->n_tags; ++i) {
                PolicySlice tag = policy_atom_slice(domain->tags[i]);

                if (policy_slice_begins(tag, prefix) && policy_slice_equal(policy_slice_skip(tag, prefix.n), caller))
                        return true;
        }
        return false;
}

int policy_handle_eval(const PolicyHandler *handler, const char *name, bool is_gui, const PolicyEvalRequest *request,
                       char **ret_answer) {
        const PolicySocketRequest full = { .request = request->request,
                                           .assume_yes_for_ask = true,
                                           .just_evaluate = true };
        _cleanup_(handling_deinit) Handling handling = { .handler = handler, .request = &full };
        _cleanup_free_ char *answer = NULL;
        int r;

        *ret_answer = NULL;
        if (is_gui) {
                r = handling_load_system(&handling);
                if (r)
                        return r < 0 ? r : 0;
                if (!eval_has_tag(handling.system, request->request.source, request->caller) ||
                    !eval_has_tag(handling.system, request->request.target, request->caller))
                        return handling_log(&handling, POLICY_LOGGER_POLICY, "%s: %.*s may not ask about %.*s and %.*s",
                                            name, SLICE_ARGUMENTS(request->caller),
                                            SLICE_ARGUMENTS(request->request.source),
                                            SLICE_ARGUMENTS(request->request.target));
        }
        r = handling_run(&handling, &answer);
        if (r < 0 || !answer)
                return r;
        if (asprintf(ret_answer, "%s\n", answer) < 0) {
                *ret_answer = NULL;
                return error_origin(-ENOMEM);
        }
        return 0;
}
