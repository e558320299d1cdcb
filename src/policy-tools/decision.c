/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/decision.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "policy/quote.h"

static const char *const field_names[_POLICY_FIELD_N] = {
        [POLICY_FIELD_TARGET] = "target",
        [POLICY_FIELD_TARGETS] = "targets",
        [POLICY_FIELD_DEFAULT_TARGET] = "default_target",
        [POLICY_FIELD_USER] = "user",
        [POLICY_FIELD_AUTOSTART] = "autostart",
        [POLICY_FIELD_NOTIFY] = "notify",
        [POLICY_FIELD_RELAY] = "relay",
        [POLICY_FIELD_SERVICE] = "service",
};

const char *policy_field_name(PolicyField field) {
        return field_names[field];
}

const char *policy_outcome_name(PolicyOutcome outcome) {
        switch (outcome) {
        case POLICY_OUTCOME_ALLOW:
                return "allow";
        case POLICY_OUTCOME_ASK:
                return "ask";
        case POLICY_OUTCOME_DENY:
                break;
        }
        return "deny";
}

void policy_decision_deinit(PolicyDecision *decision) {
        for (size_t i = 0; i < ARRAY_SIZE(decision->fields); ++i)
                free(decision->fields[i]);
        free(decision->message);
        policy_question_free(decision->question);
        *decision = (PolicyDecision){};
}

static int decision_set(PolicyDecision *decision, PolicyField field, PolicySlice value, bool is_usual) {
        decision->fields[field] = policy_show_new(value);
        decision->is_usual[field] = is_usual;
        return decision->fields[field] ? 0 : error_origin(-ENOMEM);
}

static int decision_set_text(PolicyDecision *decision, PolicyField field, const char *value, bool is_usual) {
        return decision_set(decision, field, policy_slice(value), is_usual);
}

static int decision_set_bool(PolicyDecision *decision, PolicyField field, bool value, bool usual) {
        return decision_set_text(decision, field, value ? "yes" : "no", value == usual);
}

static int decision_set_user(PolicyDecision *decision, const PolicyAtom *user) {
        bool is_usual = !user || user->n == 0;

        return decision_set(decision, POLICY_FIELD_USER, is_usual ? POLICY_SLICE("DEFAULT") : policy_atom_slice(user),
                            is_usual);
}

static int decision_fill_allow(PolicyDecision *decision) {
        const PolicyResolution *resolution = &decision->resolution;
        size_t n_target = resolution->target.party.text.n + 16;
        size_t n_service = resolution->request.service.n + 3 * POLICY_MESSAGE_MAX;
        _cleanup_free_ char *target = malloc(n_target), *service = malloc(n_service);
        int r;

        if (!target || !service)
                return error_origin(-ENOMEM);
        r = error_fold(policy_target_format(&resolution->target, target, n_target));
        r = r ?: decision_set_text(decision, POLICY_FIELD_TARGET, resolution->is_dom0 ? "dom0" : target, false);
        r = r
                    ?: decision_set(decision, POLICY_FIELD_USER, resolution->user,
                                    policy_slice_equal(resolution->user, POLICY_SLICE("DEFAULT")));
        r = r ?: decision_set_bool(decision, POLICY_FIELD_AUTOSTART, resolution->autostart, true);
        r = r ?: decision_set_bool(decision, POLICY_FIELD_NOTIFY, resolution->notify, false);
        if (r || !resolution->is_remote)
                return r;
        if (policy_resolution_service(resolution, service, n_service) != 0)
                service[0] = '\0';
        r = decision_set(decision, POLICY_FIELD_RELAY, policy_atom_slice(resolution->destination->name), false);
        return r ?: decision_set_text(decision, POLICY_FIELD_SERVICE, service, false);
}

static int decision_fill_ask(PolicyDecision *decision) {
        const PolicyQuestion *question = decision->question;
        const PolicyRule *rule = question->resolution.rule;
        _cleanup_free_ char *choices = NULL;
        size_t n = 1;
        int r;

        for (size_t i = 0; i < question->n_choices; ++i)
                n += strlen(question->choices[i]) + 1;
        choices = calloc(1, n);
        if (!choices)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < question->n_choices; ++i) {
                if (i > 0)
                        strcat(choices, ",");
                strcat(choices, question->choices[i]);
        }
        r = decision_set_text(decision, POLICY_FIELD_TARGETS, choices, false);
        r = r
                    ?: decision_set_text(decision, POLICY_FIELD_DEFAULT_TARGET, question->default_choice ?: "",
                                         !question->default_choice);
        r = r ?: decision_set_user(decision, rule->user);
        r = r ?: decision_set_bool(decision, POLICY_FIELD_AUTOSTART, rule->autostart, true);
        r = r ?: decision_set_bool(decision, POLICY_FIELD_NOTIFY, question->resolution.notify, false);
        if (r == 0 && rule->redirect.kind != POLICY_TOKEN_NONE && question->n_choices == 1)
                r = decision_set_text(decision, POLICY_FIELD_TARGET, question->choices[0], true);
        return r;
}

static int decision_fill_deny(PolicyDecision *decision) {
        char message[POLICY_MESSAGE_MAX];

        decision->message = strdup(policy_resolution_message(&decision->resolution, message, sizeof(message)));
        if (!decision->message)
                return error_origin(-ENOMEM);
        return decision_set_bool(decision, POLICY_FIELD_NOTIFY, decision->resolution.notify, true);
}

int policy_decide(Policy *policy, PolicyFacts *facts, const PolicyRequest *request, PolicyDecision *ret_decision) {
        _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
        int r = 0;

        policy_evaluate(policy, facts, request, &decision.resolution);
        if (decision.resolution.outcome == POLICY_OUTCOME_ASK)
                r = policy_question_new(policy, facts, &decision.resolution, &decision.question);
        if (r < 0)
                return error_trace(r);
        policy_route(facts, &decision.resolution);
        decision.outcome = decision.resolution.outcome;
        switch (decision.outcome) {
        case POLICY_OUTCOME_ALLOW:
                r = decision_fill_allow(&decision);
                break;
        case POLICY_OUTCOME_ASK:
                r = decision_fill_ask(&decision);
                break;
        case POLICY_OUTCOME_DENY:
                r = decision_fill_deny(&decision);
                break;
        }
        if (r < 0)
                return r;
        *ret_decision = decision;
        decision = (PolicyDecision){};
        return 0;
}

char *policy_decision_format(const PolicyDecision *decision) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        if (!stream)
                return NULL;
        fputs(policy_outcome_name(decision->outcome), stream);
        for (size_t i = 0; i < ARRAY_SIZE(decision->fields); ++i)
                if (decision->fields[i] && !decision->is_usual[i])
                        fprintf(stream, " %s=%s", field_names[i], decision->fields[i]);
        if (fclose(stream) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

char *policy_rule_show(const PolicyRule *rule) {
        size_t n = 0;
        _cleanup_free_ char *text = policy_rule_format(rule, &n), *shown = NULL;
        _cleanup_free_ char *path = policy_show_new(policy_atom_slice(rule->path));
        char line[16] = "None", *result;

        if (!text || !path)
                return NULL;
        for (size_t i = 0; i < n; ++i)
                if (text[i] == '\t')
                        text[i] = ' ';
        shown = policy_show_new((PolicySlice){ text, n });
        if (rule->line > 0)
                snprintf(line, sizeof(line), "%u", rule->line);
        if (!shown || asprintf(&result, "%s:%s: %s", path, line, shown) < 0)
                return NULL;
        return result;
}
