/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/decision.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "inventory/remote.h"
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

static void decision_clear_fields(PolicyDecision *decision) {
        for (size_t i = 0; i < ARRAY_SIZE(decision->fields); ++i) {
                free(decision->fields[i]);
                decision->fields[i] = NULL;
                decision->is_usual[i] = false;
        }
}

void policy_decision_deinit(PolicyDecision *decision) {
        decision_clear_fields(decision);
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

int policy_decision_carriage(const PolicySystem *system, const PolicyResolution *resolution, PolicySlice *ret_relay,
                             char **ret_service) {
        _cleanup_free_ char *service = malloc(SERVICE_DESCRIPTOR_MAX + 1);
        const PolicyAtom *relay = resolution->destination->name;
        DomainName target;

        if (!service)
                return error_origin(-ENOMEM);
        if (policy_resolution_service(resolution, service, SERVICE_DESCRIPTOR_MAX + 1))
                return POLICY_DECISION_E_TOO_LONG;
        *ret_relay = policy_atom_slice(relay);
        if (system->inventory && domain_name_parse(relay->text, relay->n, &target) == 0) {
                if (remote_wrap(system->inventory, &target, service))
                        return POLICY_DECISION_E_TOO_LONG;
                *ret_relay = policy_slice(inventory_lookup(system->inventory, target.text)->name.text);
        }
        *ret_service = steal_ptr(&service);
        return 0;
}

static int decision_fill_carriage(const PolicySystem *system, PolicyDecision *decision) {
        _cleanup_free_ char *service = NULL;
        PolicySlice relay;
        int r;

        r = policy_decision_carriage(system, &decision->resolution, &relay, &service);
        r = r ?: decision_set(decision, POLICY_FIELD_RELAY, relay, false);
        return r ?: decision_set_text(decision, POLICY_FIELD_SERVICE, service, false);
}

static int decision_fill_allow(const PolicySystem *system, PolicyDecision *decision) {
        const PolicyResolution *resolution = &decision->resolution;
        size_t n_target = resolution->target.party.text.n + 16;
        _cleanup_free_ char *target = malloc(n_target);
        int r;

        if (!target)
                return error_origin(-ENOMEM);
        r = error_fold(policy_target_format(&resolution->target, target, n_target));
        r = r ?: decision_set_text(decision, POLICY_FIELD_TARGET, resolution->is_dom0 ? "dom0" : target, false);
        r = r
                    ?: decision_set(decision, POLICY_FIELD_USER, resolution->user,
                                    policy_slice_equal(resolution->user, POLICY_SLICE("DEFAULT")));
        r = r ?: decision_set_bool(decision, POLICY_FIELD_AUTOSTART, resolution->autostart, true);
        r = r ?: decision_set_bool(decision, POLICY_FIELD_NOTIFY, resolution->notify, false);
        return r || !resolution->is_remote ? r : decision_fill_carriage(system, decision);
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

/* @reason: what is not the resolution's own; else NULL */
static int decision_fill_deny(PolicyDecision *decision, const char *reason) {
        char message[POLICY_MESSAGE_MAX];

        decision_clear_fields(decision); /* of what was allowed, until it did not fit */
        decision->outcome = POLICY_OUTCOME_DENY;
        decision->message =
                strdup(reason ?: policy_resolution_message(&decision->resolution, message, sizeof(message)));
        if (!decision->message)
                return error_origin(-ENOMEM);
        return decision_set_bool(decision, POLICY_FIELD_NOTIFY, decision->resolution.notify, true);
}

/* Whom a relay means, as the broker finds it; what cannot be a name there is left to the policy. */
static int decision_find_source(const PolicySystem *system, const PolicyRequest *request, PolicyDecision *decision) {
        char source[DOMAIN_NAME_MAX + 1] = "";
        const InventoryDomain *relay;
        RequestName requested = {};

        if (!system->inventory || request->requested_source.n == 0 || request->source.n >= sizeof(source) ||
            request->requested_source.n >= sizeof(requested.text))
                return 0;
        memcpy(source, request->source.text, request->source.n);
        memcpy(requested.text, request->requested_source.text, request->requested_source.n);
        relay = inventory_lookup(system->inventory, source);
        return relay ? remote_find_source(system->inventory, relay, &requested, &decision->speaks_for,
                                          &decision->is_unknown_source)
                     : 0;
}

int policy_decide(Policy *policy, const PolicySystem *system, const PolicyRequest *request,
                  PolicyDecision *ret_decision) {
        _cleanup_(policy_decision_deinit) PolicyDecision decision = { .resolution.request = *request };
        PolicyRequest meant = *request;
        int r = 0;

        if (decision_find_source(system, request, &decision)) {
                r = decision_fill_deny(&decision, REMOTE_AMBIGUOUS_TEXT);
                goto done;
        }
        if (decision.speaks_for)
                meant.requested_source = policy_slice(decision.speaks_for->name.text);
        policy_evaluate(policy, system->facts, &meant, &decision.resolution);
        if (decision.resolution.outcome == POLICY_OUTCOME_ASK)
                r = policy_question_new(policy, system->facts, &decision.resolution, &decision.question);
        if (r < 0)
                return error_trace(r);
        policy_route(system->facts, &decision.resolution);
        decision.outcome = decision.resolution.outcome;
        switch (decision.outcome) {
        case POLICY_OUTCOME_ALLOW:
                r = decision_fill_allow(system, &decision);
                if (r == POLICY_DECISION_E_TOO_LONG)
                        r = decision_fill_deny(&decision, POLICY_DECISION_TOO_LONG_TEXT);
                break;
        case POLICY_OUTCOME_ASK:
                r = decision_fill_ask(&decision);
                break;
        case POLICY_OUTCOME_DENY:
                r = decision_fill_deny(&decision, NULL);
                break;
        }
done:
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
        (void)text_close(stream, &text);
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
