/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/graph.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "policy-tools/subjects.h"
#include "policy-tools/targets.h"
#include "policy/evaluate.h"
#include "policy/question.h"

/** A service that no rule can name: only rules for `*` match it. The graph calls it as scripts know it. */
#define UNNAMED_SERVICE "*"
#define UNNAMED_LABEL   "None"

typedef struct Graph {
        FILE *stream;
        Policy *policy;
        const PolicySystem *system;
        const PolicyGraphOptions *options;
        PolicySubjects subjects;
        char **services; /* texts that subjects point into */
        size_t n_services;
        PolicyTargets targets;
        PolicyAtoms printed; /* lines */
} Graph;

static void graph_deinit(Graph *graph) {
        policy_subjects_deinit(&graph->subjects);
        policy_targets_deinit(&graph->targets);
        policy_atoms_deinit(&graph->printed);
        for (size_t i = 0; i < graph->n_services; ++i)
                free(graph->services[i]);
        free(graph->services);
}

static bool words_have(PolicyWords words, const char *text) {
        for (; *words; ++words)
                if (strcmp(*words, text) == 0)
                        return true;
        return false;
}

/*
 * Lines
 */

/* Prints a line the first time only. */
static int graph_print(Graph *graph, const char *line) {
        PolicySlice text = policy_slice(line);
        const PolicyAtom *atom;

        if (policy_atoms_lookup(&graph->printed, text, policy_hash(text)))
                return 0;
        fprintf(graph->stream, "%s\n", line);
        return error_trace(policy_atoms_intern(&graph->printed, text, &atom));
}

static int graph_print_format(Graph *graph, const char *format, ...) _printf_(2, 3);
static int graph_print_format(Graph *graph, const char *format, ...) {
        _cleanup_free_ char *line = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = text_format_list(format, arguments, &line);
        va_end(arguments);
        if (r)
                return error_trace(r);
        return graph_print(graph, line);
}

/* A text between double quotes of the dot language, where a backslash or a quote would mean something. */
static char *graph_quote(const char *text) {
        char *quoted = malloc(2 * strlen(text) + 1), *end = quoted;

        if (!quoted)
                return NULL;
        for (; *text != '\0'; ++text) {
                if (*text == '"' || *text == '\\')
                        *end++ = '\\';
                *end++ = (unsigned char)*text < 0x20 ? ' ' : *text;
        }
        *end = '\0';
        return quoted;
}

/* The colour of a domain, `#RRGGBB`; NULL if it is none of this inventory, or has none. */
static const char *graph_colour(const Graph *graph, const char *name) {
        const PolicyDomain *domain =
                name[0] == '@' ? NULL : policy_facts_lookup(graph->system->facts, policy_slice(name));
        const char *label = domain ? graph->system->labels[domain->index] : NULL;

        return label && strncmp(label, "0x", 2) == 0 && strlen(label) == 8 ? label + 2 : NULL;
}

static int graph_print_node(Graph *graph, const char *name) {
        const char *colour = graph_colour(graph, name);
        _cleanup_free_ char *quoted = graph_quote(name);

        if (!quoted)
                return error_origin(-ENOMEM);
        if (colour)
                return graph_print_format(graph, "  \"%s\" [color = \"#%s\", penwidth = 3];", quoted, colour);
        return graph_print_format(graph, "  \"%s\" [style = dotted];", quoted);
}

static void graph_write_token(FILE *stream, const char *key, PolicyToken token) {
        if (token.kind != POLICY_TOKEN_NONE)
                fprintf(stream, " %s=%s%s", key, policy_token_prefix(token.kind), token.value ? token.value->text : "");
}

/* The service; in a full graph the argument that the rule names, and the action text of 2.9 too. */
static char *graph_label(const Graph *graph, const char *service, const PolicyRule *rule) {
        char *label = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&label, &n);

        if (!stream)
                return NULL;
        if (!graph->options->skips_labels || graph->options->is_full)
                fputs(service ?: UNNAMED_LABEL, stream);
        if (graph->options->is_full) {
                fprintf(stream, "%s %s", rule->argument ? rule->argument->text : "", policy_action_name(rule->action));
                graph_write_token(stream, "target", rule->redirect);
                graph_write_token(stream, "default_target", rule->default_target);
                if (rule->user && rule->user->n > 0)
                        fprintf(stream, " user=%s", rule->user->text);
        }
        (void)text_close(stream, &label);
        return label;
}

static int graph_print_edge(Graph *graph, const char *source, const char *target, const char *service,
                            const PolicyRule *rule) {
        _cleanup_free_ char *label = graph_label(graph, service, rule), *quoted_label = NULL;
        _cleanup_free_ char *quoted_source = graph_quote(source), *quoted_target = graph_quote(target);

        quoted_label = label ? graph_quote(label) : NULL;
        if (!quoted_label || !quoted_source || !quoted_target)
                return error_origin(-ENOMEM);
        return graph_print_format(graph, "  \"%s\" -> \"%s\" [label=\"%s\" color=%s];", quoted_source, quoted_target,
                                  quoted_label, rule->action == POLICY_ACTION_ALLOW ? "red" : "orange");
}

/*
 * Calls
 */

/* Where the call would end: the rule's target=, or what was asked for; not resolved. The caller frees it. */
static char *graph_target(const PolicyResolution *resolution) {
        const PolicyToken *redirect = &resolution->rule->redirect;
        char *text = NULL;

        if (redirect->kind == POLICY_TOKEN_NONE) {
                size_t n = resolution->requested.party.text.n + 16;

                text = malloc(n);
                if (text && policy_target_format(&resolution->requested, text, n) != 0)
                        text[0] = '\0';
                return text;
        }
        if (asprintf(&text, "%s%s", policy_token_prefix(redirect->kind), redirect->value ? redirect->value->text : "") <
            0)
                return NULL;
        return text;
}

/* Decides without the checks of where the call goes. */
static int graph_decide(const Graph *graph, const PolicyRequest *request, PolicyResolution *resolution) {
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        int r = 0;

        policy_evaluate(graph->policy, graph->system->facts, request, resolution);
        if (resolution->outcome == POLICY_OUTCOME_ASK)
                r = policy_question_new(graph->policy, graph->system->facts, resolution, &question);
        return r < 0 ? error_trace(r) : 0;
}

static int graph_call(Graph *graph, const char *service, const PolicyRequest *request) {
        PolicyResolution resolution;
        _cleanup_free_ char *target = NULL;
        int r;

        r = graph_decide(graph, request, &resolution);
        if (r < 0 || resolution.outcome == POLICY_OUTCOME_DENY)
                return r;
        target = graph_target(&resolution);
        if (!target)
                return error_origin(-ENOMEM);
        if (graph->options->targets && !words_have(graph->options->targets, target))
                return 0;
        if (resolution.outcome == POLICY_OUTCOME_ASK && !graph->options->includes_ask && !graph->options->is_full)
                return 0;
        r = graph_print_node(graph, request->source.text);
        r = r ?: graph_print_node(graph, target);
        return r ?: graph_print_edge(graph, request->source.text, target, service, resolution.rule);
}

static int graph_source(Graph *graph, PolicyPair pair, const char *source) {
        _cleanup_free_ char *service = NULL;

        if (asprintf(&service, "%s%s", pair.service ?: UNNAMED_SERVICE, pair.argument ?: "+") < 0) {
                service = NULL;
                return error_origin(-ENOMEM);
        }
        for (size_t i = 0; i < graph->targets.n; ++i) {
                int r = graph_call(graph, pair.service,
                                   &(PolicyRequest){ .source = policy_slice(source),
                                                     .target = policy_slice(graph->targets.names[i]),
                                                     .service = policy_slice(service) });

                if (r < 0)
                        return r;
        }
        return 0;
}

static int graph_pair(Graph *graph, PolicyPair pair) {
        int r = 0;

        if (graph->options->sources) {
                for (PolicyWords source = graph->options->sources; *source && r == 0; ++source)
                        r = graph_source(graph, pair, *source);
                return r;
        }
        for (size_t i = 0; i < graph->system->facts->n_domains && r == 0; ++i)
                r = graph_source(graph, pair, graph->system->facts->domains[i].name->text);
        return r;
}

/* Was the pair asked for? By its service, or by service and argument. */
static bool graph_wants(const Graph *graph, PolicyPair pair) {
        _cleanup_free_ char *joined = NULL;

        if (!graph->options->services)
                return true;
        if (!pair.service)
                return false;
        if (asprintf(&joined, "%s%s", pair.service, pair.argument ?: "") < 0) {
                joined = NULL;
                return false;
        }
        return words_have(graph->options->services, pair.service) || words_have(graph->options->services, joined);
}

static int graph_add_services(Graph *graph) {
        PolicyWords services = graph->options->services;
        size_t n = 0;
        int r = 0;

        while (services && services[n])
                ++n;
        graph->services = calloc(n ?: 1, sizeof(*graph->services));
        if (!graph->services)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n && r == 0; ++i) {
                size_t n_name = strcspn(services[i], "+");
                char *name = strndup(services[i], n_name);

                if (!name)
                        return error_origin(-ENOMEM);
                graph->services[graph->n_services++] = name;
                r = policy_subjects_add(&graph->subjects, name,
                                        services[i][n_name] == '+' ? services[i] + n_name : NULL);
        }
        return r;
}

int policy_graph(FILE *stream, Policy *policy, const PolicySystem *system, const PolicyGraphOptions *options) {
        _cleanup_(graph_deinit)
                Graph graph = { .stream = stream, .policy = policy, .system = system, .options = options };
        int r;

        r = policy_subjects_add_policy(&graph.subjects, policy);
        r = r ?: graph_add_services(&graph);
        r = r ?: policy_targets_init(&graph.targets, system->facts);
        if (r < 0)
                return r;
        policy_subjects_sort(&graph.subjects);
        fputs("digraph g {\n", stream);
        for (size_t i = 0; i < graph.subjects.n && r == 0; ++i)
                if (graph_wants(&graph, graph.subjects.pairs[i]))
                        r = graph_pair(&graph, graph.subjects.pairs[i]);
        fputs("}\n", stream);
        return r;
}
