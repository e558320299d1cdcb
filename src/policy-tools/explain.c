/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/explain.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "policy-tools/targets.h"
#include "policy/quote.h"

/** Names in a sentence; longer ones are cut. */
#define SHOWN_MAX     256
#define SHOWN(_slice) policy_quote((char[SHOWN_MAX]){ 0 }, SHOWN_MAX, (_slice))

PolicyMiss policy_miss(const PolicyRule *rule, const PolicyQuery *query, const PolicyResolution *resolution,
                       bool *ret_is_close) {
        bool service = !rule->service || rule->service == query->service;
        bool argument = !rule->argument || rule->argument == query->argument;
        PolicyMatch source = policy_match_source(rule, query), target = policy_match_target(rule, query);
        unsigned n_missed = !service + !argument + (source == POLICY_MATCH_NO) + (target == POLICY_MATCH_NO);

        *ret_is_close = n_missed == 1;
        if (!service) {
                *ret_is_close = n_missed == 1 && rule->service->n == resolution->service.n &&
                                strncasecmp(rule->service->text, resolution->service.text, rule->service->n) == 0;
                return POLICY_MISS_SERVICE;
        }
        if (!argument)
                return POLICY_MISS_ARGUMENT;
        if (source != POLICY_MATCH_YES)
                return source == POLICY_MATCH_NO ? POLICY_MISS_SOURCE : POLICY_MISS_FAULT;
        if (target != POLICY_MATCH_YES)
                return target == POLICY_MATCH_NO ? POLICY_MISS_TARGET : POLICY_MISS_FAULT;
        return POLICY_MISS_NOTHING;
}

/* "'vault' has the tags a b", or its type, or that there is no such domain. */
static void explain_tags(FILE *stream, const PolicyParty *party) {
        if (!party->domain) {
                fprintf(stream, "%s is no domain of this host", SHOWN(party->text));
        } else if (party->domain->n_tags == 0) {
                fprintf(stream, "%s has no tags", SHOWN(party->text));
        } else {
                fprintf(stream, "%s has only", SHOWN(party->text));
                for (size_t i = 0; i < party->domain->n_tags; ++i)
                        fprintf(stream, " %s", SHOWN(policy_atom_slice(party->domain->tags[i])));
        }
}

static void explain_type(FILE *stream, const PolicyParty *party) {
        if (!party->domain || !party->domain->type)
                fprintf(stream, "%s has none", SHOWN(party->text));
        else
                fprintf(stream, "%s is of type %s", SHOWN(party->text), SHOWN(policy_atom_slice(party->domain->type)));
}

static void explain_source(FILE *stream, const PolicyRule *rule, const PolicyQuery *query) {
        const PolicyToken *token = &rule->source;

        switch (token->kind) {
        case POLICY_TOKEN_NAME:
                fprintf(stream, "its source is %s, the caller is %s", SHOWN(policy_atom_slice(token->value)),
                        SHOWN(query->source.text));
                break;
        case POLICY_TOKEN_TAG:
                fprintf(stream, "its source needs the tag %s; ", SHOWN(policy_atom_slice(token->value)));
                explain_tags(stream, &query->source);
                break;
        case POLICY_TOKEN_TYPE:
                fprintf(stream, "its source needs the type %s; ", SHOWN(policy_atom_slice(token->value)));
                explain_type(stream, &query->source);
                break;
        case POLICY_TOKEN_ANYVM:
                fputs("its source is every domain but dom0", stream);
                break;
        case POLICY_TOKEN_ADMINVM:
                fputs("its source is dom0", stream);
                break;
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_ANY:
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
        case POLICY_TOKEN_DISPVM_BASE:
        case POLICY_TOKEN_DISPVM_TAG:
                fputs("'@dispvm:' as a source matches no caller", stream);
                break;
        }
}

static void explain_requested(FILE *stream, const PolicyQuery *query) {
        fprintf(stream, "the call is for %s%s", policy_token_prefix(query->target.kind),
                query->target.party.text.n > 0 ? SHOWN(query->target.party.text) : "");
}

static void explain_target(FILE *stream, const PolicyRule *rule, const PolicyQuery *query) {
        const PolicyToken *token = &rule->target;
        bool is_name = query->target.kind == POLICY_TOKEN_NAME;

        switch (token->kind) {
        case POLICY_TOKEN_NAME:
                fprintf(stream, "its target is %s%s, ", SHOWN(policy_atom_slice(token->value)),
                        policy_facts_lookup(query->facts, policy_atom_slice(token->value)) ||
                                        policy_name_is_dom0(policy_atom_slice(token->value))
                                ? ""
                                : " (no domain of this host)");
                explain_requested(stream, query);
                break;
        case POLICY_TOKEN_TAG:
                fprintf(stream, "its target needs the tag %s; ", SHOWN(policy_atom_slice(token->value)));
                if (is_name)
                        explain_tags(stream, &query->target.party);
                else
                        explain_requested(stream, query);
                break;
        case POLICY_TOKEN_TYPE:
                fprintf(stream, "its target needs the type %s; ", SHOWN(policy_atom_slice(token->value)));
                if (is_name)
                        explain_type(stream, &query->target.party);
                else
                        explain_requested(stream, query);
                break;
        case POLICY_TOKEN_DISPVM_TAG:
                fprintf(stream, "its target is a disposable of a base with the tag %s, ",
                        SHOWN(policy_atom_slice(token->value)));
                explain_requested(stream, query);
                break;
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_ANY:
        case POLICY_TOKEN_ANYVM:
        case POLICY_TOKEN_ADMINVM:
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
        case POLICY_TOKEN_DISPVM_BASE:
                fprintf(stream, "its target is %s", policy_token_prefix(token->kind));
                if (token->value)
                        fputs(SHOWN(policy_atom_slice(token->value)), stream);
                fputs(", ", stream);
                explain_requested(stream, query);
                break;
        }
}

void policy_explain_miss(FILE *stream, const PolicyRule *rule, const PolicyQuery *query,
                         const PolicyResolution *resolution, PolicyMiss miss) {
        switch (miss) {
        case POLICY_MISS_NOTHING:
                fputs("it matches", stream);
                break;
        case POLICY_MISS_SERVICE:
                fprintf(stream, "its service is %s: upper and lower case matter",
                        SHOWN(policy_atom_slice(rule->service)));
                break;
        case POLICY_MISS_ARGUMENT:
                fprintf(stream, "its argument is %s, the call has %s", SHOWN(policy_atom_slice(rule->argument)),
                        resolution->argument.n > 1 ? SHOWN(resolution->argument) : "none");
                break;
        case POLICY_MISS_SOURCE:
                explain_source(stream, rule, query);
                break;
        case POLICY_MISS_TARGET:
                explain_target(stream, rule, query);
                break;
        case POLICY_MISS_FAULT:
                fputs("it cannot be told whether it matches, because a fact is missing: the call is refused", stream);
                break;
        }
}

/*
 * One call
 */

static int explain_rule(FILE *stream, const char *indent, const PolicyRule *rule) {
        _cleanup_free_ char *text = policy_rule_show(rule);

        if (!text)
                return error_origin(-ENOMEM);
        fprintf(stream, "%s%s\n", indent, text);
        return 0;
}

/* Rules before @n_end that came close. */
static int explain_close(FILE *stream, const Policy *policy, const PolicyQuery *query,
                         const PolicyResolution *resolution, size_t n_end) {
        size_t n = 0;
        int r;

        for (size_t i = 0; i < n_end; ++i) {
                const PolicyRule *rule = &policy->rules[i];
                bool is_close;
                PolicyMiss miss = policy_miss(rule, query, resolution, &is_close);

                if (!is_close || ++n > POLICY_EXPLAIN_RULES_MAX)
                        continue;
                if (n == 1)
                        fprintf(stream, "\nRules %sthat came close:\n", n_end < policy->n_rules ? "before it " : "");
                r = explain_rule(stream, "  ", rule);
                if (r < 0)
                        return r;
                fputs("    no: ", stream);
                policy_explain_miss(stream, rule, query, resolution, miss);
                fputc('\n', stream);
        }
        if (n > POLICY_EXPLAIN_RULES_MAX)
                fprintf(stream, "  … and %zu more\n", n - POLICY_EXPLAIN_RULES_MAX);
        return 0;
}

/* Rules from @n_begin on that would match if nothing before them did. */
static int explain_late(FILE *stream, const Policy *policy, const PolicyQuery *query, size_t n_begin) {
        size_t n = 0;
        int r;

        for (size_t i = n_begin; i < policy->n_rules; ++i) {
                if (policy_match(&policy->rules[i], query) != POLICY_MATCH_YES || ++n > POLICY_EXPLAIN_RULES_MAX)
                        continue;
                if (n == 1)
                        fputs("\nRules that match too, but come later:\n", stream);
                r = explain_rule(stream, "  ", &policy->rules[i]);
                if (r < 0)
                        return r;
        }
        if (n > POLICY_EXPLAIN_RULES_MAX)
                fprintf(stream, "  … and %zu more\n", n - POLICY_EXPLAIN_RULES_MAX);
        return 0;
}

static void explain_becomes(FILE *stream, const PolicyDecision *decision) {
        const PolicyResolution *resolution = &decision->resolution;

        fputs("\nThe call becomes:\n", stream);
        fprintf(stream, "  source   %s\n", SHOWN(resolution->source.text));
        fprintf(stream, "  target   %s\n", decision->fields[POLICY_FIELD_TARGET]);
        fprintf(stream, "  user     %s%s\n", decision->fields[POLICY_FIELD_USER],
                decision->is_usual[POLICY_FIELD_USER] ? " (the target's own)" : "");
        if (resolution->is_remote) {
                fprintf(stream, "  relay    %s\n", decision->fields[POLICY_FIELD_RELAY]);
                fprintf(stream, "  service  %s (at the relay)\n", decision->fields[POLICY_FIELD_SERVICE]);
        } else {
                fprintf(stream, "  service  %s\n", SHOWN(resolution->request.service));
        }
        if (!resolution->autostart)
                fputs("  only if the target runs already\n", stream);
        if (resolution->notify)
                fputs("  and the user is told\n", stream);
}

/* What the call becomes if this is chosen, where that is not plain. */
static int explain_choice(FILE *stream, const PolicySystem *system, const PolicyQuestion *question,
                          const char *choice) {
        _cleanup_free_ char *service = NULL;
        char message[POLICY_MESSAGE_MAX];
        PolicyResolution resolution;
        PolicySlice relay;
        int r;

        policy_question_answer(question, policy_slice(choice), &resolution);
        if (resolution.outcome == POLICY_OUTCOME_ALLOW)
                policy_route(system->facts, &resolution);
        if (resolution.outcome != POLICY_OUTCOME_ALLOW) {
                fprintf(stream, ", and then refused: %s",
                        policy_resolution_message(&resolution, message, sizeof(message)));
                return 0;
        }
        if (!resolution.is_remote)
                return 0;
        r = policy_decision_carriage(system, &resolution, &relay, &service);
        if (r < 0)
                return r;
        if (r == POLICY_DECISION_E_TOO_LONG)
                fputs(", and then refused: " POLICY_DECISION_TOO_LONG_TEXT, stream);
        else
                fprintf(stream, ", through %s as %s", SHOWN(relay), SHOWN(policy_slice(service)));
        return 0;
}

static int explain_question(FILE *stream, const PolicySystem *system, const PolicyQuestion *question) {
        const PolicyRule *rule = question->resolution.rule;
        int r;

        fputs("\nThe user is asked to choose:\n", stream);
        for (size_t i = 0; i < question->n_choices; ++i) {
                fprintf(stream, "  %s%s", SHOWN(policy_slice(question->choices[i])),
                        question->default_choice && strcmp(question->choices[i], question->default_choice) == 0
                                ? " (preselected)"
                                : "");
                r = explain_choice(stream, system, question, question->choices[i]);
                if (r < 0)
                        return r;
                fputc('\n', stream);
        }
        if (rule->user && rule->user->n > 0)
                fprintf(stream, "  the service runs as %s (on other hosts, as they say)\n",
                        SHOWN(policy_atom_slice(rule->user)));
        if (question->dropped_default)
                fprintf(stream, "  default_target=%s is not among them\n",
                        SHOWN(policy_slice(question->dropped_default)));
        return 0;
}

static void explain_warnings(FILE *stream, const PolicyResolution *resolution) {
        char text[POLICY_MESSAGE_MAX];

        for (unsigned i = 0; i < _POLICY_WARNING_N; ++i)
                if (resolution->warnings & BIT(i))
                        fprintf(stream, "  note: %s\n",
                                policy_resolution_warning(resolution, (PolicyWarning)i, text, sizeof(text)));
}

/* A caller that policy takes as it is, though no such caller comes to it. Refused before any rule: it is not known yet. */
static void explain_caller(FILE *stream, const PolicyDecision *decision, const PolicyRequest *request) {
        const PolicyResolution *resolution = &decision->resolution;

        if (decision->is_unknown_source)
                fprintf(stream, "  note: nothing here has the name %s, so that it counts as %s\n",
                        SHOWN(request->requested_source), decision->speaks_for->name.text);
        else if (decision->speaks_for && !policy_slice_equal(resolution->source.text, request->requested_source))
                fprintf(stream, "  note: %s is what %s calls %s\n", SHOWN(request->requested_source),
                        SHOWN(request->source), decision->speaks_for->name.text);
        if (resolution->source.text.n == 0)
                return;
        if (policy_name_is_dom0(resolution->source.text))
                fputs("  note: calls of dom0 are not subject to policy\n", stream);
        else if (!resolution->source.domain)
                fprintf(stream, "  note: the caller %s is no domain of this host\n", SHOWN(resolution->source.text));
}

int policy_explain(FILE *stream, Policy *policy, const PolicySystem *system, const PolicyRequest *request) {
        _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
        _cleanup_free_ char *text = NULL;
        const PolicyResolution *resolution = &decision.resolution;
        PolicyQuery query;
        size_t n_before;
        int r;

        r = policy_decide(policy, system, request, &decision);
        if (r < 0)
                return r;
        text = policy_decision_format(&decision);
        if (!text)
                return error_origin(-ENOMEM);
        query = policy_query(policy, system->facts, resolution);
        n_before = resolution->rule ? (size_t)(resolution->rule - policy->rules) : policy->n_rules;

        /* The choices of a question get a line each, below. */
        fprintf(stream, "%s\n", decision.outcome == POLICY_OUTCOME_ASK ? "ask" : text);
        if (resolution->rule) {
                r = explain_rule(stream, "  ", resolution->rule);
                if (r < 0)
                        return r;
        }
        if (decision.message && (!resolution->rule || resolution->reason != POLICY_REASON_RULE))
                fprintf(stream, "  %s\n", decision.message);
        explain_warnings(stream, resolution);
        explain_caller(stream, &decision, request);
        if (decision.outcome == POLICY_OUTCOME_ALLOW)
                explain_becomes(stream, &decision);
        if (decision.outcome == POLICY_OUTCOME_ASK) {
                r = explain_question(stream, system, decision.question);
                if (r < 0)
                        return r;
        }
        /* Refused before any rule was looked at. */
        if (!resolution->rule && resolution->reason != POLICY_REASON_NO_MATCH &&
            resolution->reason != POLICY_REASON_FAULT)
                return 0;
        r = explain_close(stream, policy, &query, resolution, n_before);
        if (r == 0 && resolution->rule)
                r = explain_late(stream, policy, &query, n_before + 1);
        return r;
}

/*
 * All calls of a service
 */

/* "allow", with where it goes if that is not what was asked for; "ask"; "-" */
static int explain_cell(Policy *policy, const PolicySystem *system, const PolicyRequest *request, char **ret_cell) {
        _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
        const char *target;
        char *cell = NULL;
        int r;

        r = policy_decide(policy, system, request, &decision);
        if (r < 0)
                return r;
        target = decision.fields[POLICY_FIELD_TARGET];
        if (decision.outcome == POLICY_OUTCOME_DENY)
                cell = strdup("-");
        else if (decision.outcome == POLICY_OUTCOME_ALLOW && strcmp(target, request->target.text) != 0)
                r = asprintf(&cell, "allow=%s", target);
        else
                cell = strdup(policy_outcome_name(decision.outcome));
        if (r < 0 || !cell)
                return error_origin(-ENOMEM);
        *ret_cell = cell;
        return 0;
}

typedef struct Matrix {
        PolicyTargets targets;
        const PolicyFacts *facts;
        char **cells;
        size_t n_cells;
} Matrix;

static void matrix_deinit(Matrix *matrix) {
        for (size_t i = 0; i < matrix->n_cells; ++i)
                free(matrix->cells[i]);
        free(matrix->cells);
        policy_targets_deinit(&matrix->targets);
}

static int matrix_fill(Matrix *matrix, Policy *policy, const PolicySystem *system, const char *service) {
        const PolicyFacts *facts = system->facts;
        int r;

        matrix->facts = facts;
        r = policy_targets_init(&matrix->targets, facts);
        if (r < 0)
                return r;
        matrix->cells = calloc(facts->n_domains * matrix->targets.n ?: 1, sizeof(*matrix->cells));
        if (!matrix->cells)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < facts->n_domains; ++i)
                for (size_t k = 0; k < matrix->targets.n; ++k) {
                        r = explain_cell(policy, system,
                                         &(PolicyRequest){ .source = policy_atom_slice(facts->domains[i].name),
                                                           .target = policy_slice(matrix->targets.names[k]),
                                                           .service = policy_slice(service) },
                                         &matrix->cells[matrix->n_cells]);
                        if (r < 0)
                                return r;
                        ++matrix->n_cells;
                }
        return 0;
}

static int matrix_width(const Matrix *matrix, size_t column) {
        size_t width = strlen(matrix->targets.names[column]);

        for (size_t i = column; i < matrix->n_cells; i += matrix->targets.n)
                if (strlen(matrix->cells[i]) > width)
                        width = strlen(matrix->cells[i]);
        return (int)width;
}

static void matrix_write(const Matrix *matrix, FILE *stream) {
        int width = (int)strlen("SOURCE");

        for (size_t i = 0; i < matrix->facts->n_domains; ++i)
                if ((int)matrix->facts->domains[i].name->n > width)
                        width = (int)matrix->facts->domains[i].name->n;
        fprintf(stream, "%-*s", width, "SOURCE");
        for (size_t k = 0; k < matrix->targets.n; ++k)
                fprintf(stream, "  %-*s", k + 1 < matrix->targets.n ? matrix_width(matrix, k) : 0,
                        matrix->targets.names[k]);
        fputc('\n', stream);
        for (size_t i = 0; i < matrix->facts->n_domains; ++i) {
                if (policy_name_is_dom0(policy_atom_slice(matrix->facts->domains[i].name)))
                        continue; /* its calls are not subject to policy */
                fprintf(stream, "%-*s", width, matrix->facts->domains[i].name->text);
                for (size_t k = 0; k < matrix->targets.n; ++k)
                        fprintf(stream, "  %-*s", k + 1 < matrix->targets.n ? matrix_width(matrix, k) : 0,
                                matrix->cells[i * matrix->targets.n + k]);
                fputc('\n', stream);
        }
}

int policy_explain_matrix(FILE *stream, Policy *policy, const PolicySystem *system, const char *service) {
        _cleanup_(matrix_deinit) Matrix matrix = {};
        int r = matrix_fill(&matrix, policy, system, service);

        if (r < 0)
                return r;
        matrix_write(&matrix, stream);
        return 0;
}
