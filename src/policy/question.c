/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/question.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/name.h"
#include "base/text.h"

/** Choices while they are collected: `dom0`, `@adminvm`, `@dispvm` and names are different things here (5.4). */
typedef struct PolicyChoices {
        const PolicyFacts *facts;
        bool *domains;     /* by index: the domain's name; never dom0's */
        bool *disposables; /* by index: `@dispvm:` and the domain's name */
        bool dom0;
        bool adminvm;
        bool dispvm;
} PolicyChoices;

static void policy_choices_deinit(PolicyChoices *choices) {
        free(choices->domains);
        free(choices->disposables);
}

static int policy_choices_init(PolicyChoices *choices, const PolicyFacts *facts) {
        size_t n = facts->n_domains ?: 1;

        *choices = (PolicyChoices){ .facts = facts };
        choices->domains = calloc(n, sizeof(*choices->domains));
        choices->disposables = calloc(n, sizeof(*choices->disposables));
        return choices->domains && choices->disposables ? 0 : error_origin(-ENOMEM);
}

static bool policy_domain_is_dom0(const PolicyDomain *domain) {
        return policy_slice_equal(policy_atom_slice(domain->name), POLICY_SLICE(DOM0_NAME));
}

static void policy_choices_set_domain(PolicyChoices *choices, const PolicyDomain *domain, bool offered) {
        if (policy_domain_is_dom0(domain))
                choices->dom0 = offered;
        else
                choices->domains[domain->index] = offered;
}

/* Sets or clears all domains that have a property. Return: is every fact known that this needs? */
static bool policy_choices_set_type(PolicyChoices *choices, PolicyToken token, bool offered) {
        for (size_t i = 0; i < choices->facts->n_domains; ++i) {
                const PolicyDomain *domain = &choices->facts->domains[i];
                PolicyFact has = token.kind == POLICY_TOKEN_TYPE ? policy_domain_has_type(domain, token.value)
                                                                 : policy_domain_has_tag(domain, token.value);

                if (has == POLICY_FACT_UNKNOWN)
                        return false;
                if (has == POLICY_FACT_YES)
                        policy_choices_set_domain(choices, domain, offered);
        }
        return true;
}

/* All bases, or with @tag those that have it. */
static bool policy_choices_set_bases(PolicyChoices *choices, const PolicyAtom *tag, bool offered) {
        for (size_t i = 0; i < choices->facts->n_domains; ++i) {
                const PolicyDomain *domain = &choices->facts->domains[i];
                PolicyFact has = domain->is_base;

                if (has == POLICY_FACT_YES && tag)
                        has = policy_domain_has_tag(domain, tag);
                if (has == POLICY_FACT_UNKNOWN)
                        return false;
                if (has == POLICY_FACT_YES)
                        choices->disposables[i] = offered;
        }
        return true;
}

static bool policy_choices_set_all(PolicyChoices *choices, bool with_dom0, bool offered) {
        for (size_t i = 0; i < choices->facts->n_domains; ++i)
                if (!policy_domain_is_dom0(&choices->facts->domains[i]))
                        choices->domains[i] = offered;
        if (with_dom0)
                choices->dom0 = offered;
        choices->dispvm = offered;
        return policy_choices_set_bases(choices, NULL, offered);
}

static bool policy_choices_set_base(PolicyChoices *choices, const PolicyAtom *name, bool offered) {
        const PolicyDomain *base = policy_facts_lookup(choices->facts, policy_atom_slice(name));

        if (!base || base->is_base == POLICY_FACT_UNKNOWN)
                return false;
        if (base->is_base == POLICY_FACT_YES)
                choices->disposables[base->index] = offered;
        return true;
}

/* expand() of 5.4, added or taken away. Return: false on a fault */
static bool policy_choices_set(PolicyChoices *choices, PolicyToken token, bool offered) {
        const PolicyDomain *domain;

        switch (token.kind) {
        case POLICY_TOKEN_NAME:
                domain = policy_facts_lookup(choices->facts, policy_atom_slice(token.value));
                if (domain)
                        policy_choices_set_domain(choices, domain, offered);
                return true;
        case POLICY_TOKEN_ADMINVM:
                choices->adminvm = offered;
                return true;
        case POLICY_TOKEN_DISPVM:
                choices->dispvm = offered;
                return true;
        case POLICY_TOKEN_TYPE:
        case POLICY_TOKEN_TAG:
                return policy_choices_set_type(choices, token, offered);
        case POLICY_TOKEN_DISPVM_BASE:
                return policy_choices_set_base(choices, token.value, offered);
        case POLICY_TOKEN_DISPVM_TAG:
                return policy_choices_set_bases(choices, token.value, offered);
        case POLICY_TOKEN_ANYVM:
                return policy_choices_set_all(choices, false, offered);
        case POLICY_TOKEN_ANY:
                return policy_choices_set_all(choices, true, offered);
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_DEFAULT:
                return true;
        }
        return true;
}

/* Return: NULL, or what is missing. */
static const char *policy_choices_collect(PolicyChoices *choices, const Policy *policy, const PolicyQuery *query) {
        for (size_t i = policy->n_rules; i-- > 0;) {
                const PolicyRule *rule = &policy->rules[i];
                PolicyToken token = rule->redirect.kind != POLICY_TOKEN_NONE ? rule->redirect : rule->target;

                if (!policy_match_subject(rule, query))
                        continue;
                switch (policy_match_source(rule, query)) {
                case POLICY_MATCH_NO:
                        continue;
                case POLICY_MATCH_FAULT:
                        return "a rule needs a fact that the inventory lacks";
                case POLICY_MATCH_YES:
                        break;
                }
                if (!policy_choices_set(choices, token, rule->action != POLICY_ACTION_DENY))
                        return "a rule names a base that the inventory lacks, or needs a fact that it lacks";
        }
        return NULL;
}

/* The last steps of the collection, after the loop over the rules. Return: as above */
static const char *policy_choices_finish(PolicyChoices *choices, const PolicyDomain *source) {
        if (choices->dispvm) {
                choices->dispvm = false;
                if (source && source->default_dispvm) {
                        const PolicyDomain *base =
                                policy_facts_lookup(choices->facts, policy_atom_slice(source->default_dispvm));

                        if (!base)
                                return "the source's default base is not in the inventory";
                        choices->disposables[base->index] = true;
                }
        }
        if (choices->adminvm)
                choices->dom0 = true;
        if (!source || !source->uuid)
                return "the source is not in the inventory or has no uuid";
        policy_choices_set_domain(choices, source, false);

        for (size_t i = 0; i < choices->facts->n_domains; ++i) {
                const PolicyDomain *domain = &choices->facts->domains[i];

                if (!domain->internal)
                        continue;
                policy_choices_set_domain(choices, domain, false);
                choices->disposables[i] = false;
        }
        return NULL;
}

/* autostart=no: only what runs already, which is none of the disposables. Return: as above */
static const char *policy_choices_keep_running(PolicyChoices *choices) {
        for (size_t i = 0; i < choices->facts->n_domains; ++i) {
                choices->disposables[i] = false;
                if (!choices->domains[i])
                        continue;
                if (choices->facts->domains[i].running == POLICY_FACT_UNKNOWN)
                        return "power_state of a choice is not known";
                choices->domains[i] = choices->facts->domains[i].running == POLICY_FACT_YES;
        }
        return NULL;
}

/*
 * The question
 */

PolicyQuestion *policy_question_free(PolicyQuestion *question) {
        if (!question)
                return NULL;
        for (size_t i = 0; i < question->n_choices; ++i)
                free(question->choices[i]);
        free(question->choices);
        free(question->dropped_default);
        policy_facts_unref(question->facts);
        policy_unref(question->policy);
        free(question);
        return NULL;
}

static char *policy_question_text(PolicyTokenKind kind, PolicySlice value) {
        const char *prefix = policy_token_prefix(kind);
        char *text = malloc(strlen(prefix) + value.n + 1);

        if (!text)
                return NULL;
        memcpy(text, prefix, strlen(prefix));
        if (value.n > 0)
                memcpy(text + strlen(prefix), value.text, value.n);
        text[strlen(prefix) + value.n] = '\0';
        return text;
}

/* There must be room for one more. */
static int policy_question_offer(PolicyQuestion *question, PolicyTokenKind kind, PolicySlice value) {
        char *text = policy_question_text(kind, value);

        if (!text)
                return error_origin(-ENOMEM);
        question->choices[question->n_choices++] = text;
        return 0;
}

static int policy_question_compare(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int policy_question_offer_all(PolicyQuestion *question, const PolicyChoices *choices) {
        int r = 0;

        /* Each domain under its name and as a base, and dom0. */
        question->choices = calloc(choices->facts->n_domains * 2 + 1, sizeof(*question->choices));
        if (!question->choices)
                return error_origin(-ENOMEM);
        if (choices->dom0)
                r = policy_question_offer(question, POLICY_TOKEN_NAME, POLICY_SLICE(DOM0_NAME));
        for (size_t i = 0; i < choices->facts->n_domains && r == 0; ++i) {
                PolicySlice name = policy_atom_slice(choices->facts->domains[i].name);

                if (choices->domains[i])
                        r = policy_question_offer(question, POLICY_TOKEN_NAME, name);
                if (choices->disposables[i] && r == 0)
                        r = policy_question_offer(question, POLICY_TOKEN_DISPVM_BASE, name);
        }
        if (r < 0)
                return r;
        if (question->n_choices > 1)
                qsort(question->choices, question->n_choices, sizeof(*question->choices), policy_question_compare);
        return 0;
}

/* Without target=. *@ret_fault is what is missing, if anything. */
static int policy_question_collect(PolicyQuestion *question, const char **ret_fault) {
        PolicyQuery query = policy_query(question->policy, question->facts, &question->resolution);
        _cleanup_(policy_choices_deinit) PolicyChoices choices = {};
        int r;

        r = policy_choices_init(&choices, question->facts);
        if (r < 0)
                return r;
        *ret_fault = policy_choices_collect(&choices, question->policy, &query);
        if (!*ret_fault)
                *ret_fault = policy_choices_finish(&choices, query.source.domain);
        if (!*ret_fault && !question->resolution.rule->autostart)
                *ret_fault = policy_choices_keep_running(&choices);
        return *ret_fault ? 0 : policy_question_offer_all(question, &choices);
}

/* A redirect token as 5.4 writes it: dom0 by one name, everything else as it stands. */
static PolicyTarget policy_question_token(const PolicyFacts *facts, PolicyToken token) {
        PolicyTarget target = { .kind = token.kind };

        if (token.value)
                target.party = policy_party(facts, policy_atom_slice(token.value));
        if (policy_target_is_dom0(&target)) {
                target.kind = POLICY_TOKEN_NAME;
                target.party = policy_party(facts, POLICY_SLICE(DOM0_NAME));
        }
        return target;
}

/* With target=, which is the only choice. */
static int policy_question_redirect(PolicyQuestion *question, const char **ret_fault) {
        const PolicyRule *rule = question->resolution.rule;
        PolicyTarget target = policy_question_token(question->facts, rule->redirect);

        /* A choice is a C string; a NUL would make it another one, whose choice would then be another domain. */
        if (target.party.text.n > 0 && memchr(target.party.text.text, '\0', target.party.text.n)) {
                *ret_fault = "target= of the rule contains NUL";
                return 0;
        }
        if (!rule->autostart) {
                switch (policy_target_needs_start(&target)) {
                case POLICY_FACT_UNKNOWN:
                        *ret_fault = "power_state of the only choice is not known";
                        return 0;
                case POLICY_FACT_YES:
                        return 0;
                case POLICY_FACT_NO:
                        break;
                }
        }
        question->choices = calloc(1, sizeof(*question->choices));
        if (!question->choices)
                return error_origin(-ENOMEM);
        return policy_question_offer(question, target.kind, target.party.text);
}

static const char *policy_question_find(const PolicyQuestion *question, PolicySlice text) {
        for (size_t i = 0; i < question->n_choices; ++i)
                if (policy_slice_equal(policy_slice(question->choices[i]), text))
                        return question->choices[i];
        return NULL;
}

static int policy_question_set_default(PolicyQuestion *question) {
        const PolicyDomain *source = question->resolution.source.domain;
        PolicyToken token = question->resolution.rule->default_target;
        _cleanup_free_ char *text = NULL;
        PolicyTarget target;
        size_t n;

        if (token.kind == POLICY_TOKEN_NONE)
                return 0;
        if (token.kind == POLICY_TOKEN_DISPVM) {
                if (!source || !source->default_dispvm)
                        return 0;
                token = (PolicyToken){ .kind = POLICY_TOKEN_DISPVM_BASE, .value = source->default_dispvm };
        }
        target = policy_question_token(question->facts, token);
        text = policy_question_text(target.kind, target.party.text);
        if (!text)
                return error_origin(-ENOMEM);
        n = strlen(policy_token_prefix(target.kind)) + target.party.text.n;
        question->default_choice = policy_question_find(question, (PolicySlice){ text, n });
        if (!question->default_choice)
                question->dropped_default = steal_ptr(&text);
        return 0;
}

int policy_question_new(Policy *policy, PolicyFacts *facts, PolicyResolution *resolution,
                        PolicyQuestion **ret_question) {
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        const char *fault = NULL;
        int r;

        question = calloc(1, sizeof(*question));
        if (!question)
                return error_origin(-ENOMEM);
        question->policy = policy_ref(policy);
        question->facts = policy_facts_ref(facts);
        question->resolution = *resolution;

        if (resolution->rule->redirect.kind != POLICY_TOKEN_NONE)
                r = policy_question_redirect(question, &fault);
        else
                r = policy_question_collect(question, &fault);
        if (r < 0)
                return error_trace(r);
        if (fault) {
                policy_resolution_fault(resolution, fault);
                return POLICY_QUESTION_E_DENIED;
        }
        if (question->n_choices == 0) {
                policy_resolution_deny(resolution, POLICY_REASON_NO_CHOICE);
                return POLICY_QUESTION_E_DENIED;
        }
        r = policy_question_set_default(question);
        if (r < 0)
                return error_trace(r);
        *ret_question = steal_ptr(&question);
        return 0;
}

void policy_question_answer(const PolicyQuestion *question, PolicySlice untrusted_choice,
                            PolicyResolution *ret_resolution) {
        const char *choice = policy_question_find(question, untrusted_choice);
        PolicyResolution resolution = question->resolution;
        PolicySlice prefix = policy_slice(policy_token_prefix(POLICY_TOKEN_DISPVM_BASE));

        if (!choice) {
                resolution.target = (PolicyTarget){ .kind = POLICY_TOKEN_NAME };
                resolution.target.party.text = untrusted_choice;
                policy_resolution_deny(&resolution, POLICY_REASON_BAD_CHOICE);
        } else {
                PolicySlice text = policy_slice(choice);

                resolution.target.kind = POLICY_TOKEN_NAME;
                if (policy_slice_begins(text, prefix)) {
                        resolution.target.kind = POLICY_TOKEN_DISPVM_BASE;
                        text = policy_slice_skip(text, prefix.n);
                }
                resolution.target.party = policy_party(question->facts, text);
                resolution.outcome = POLICY_OUTCOME_ALLOW;
                resolution.reason = POLICY_REASON_NONE;
        }
        *ret_resolution = resolution;
}

void policy_question_refuse(const PolicyQuestion *question, PolicyReason reason, PolicyResolution *ret_resolution) {
        PolicyResolution resolution = question->resolution;

        policy_resolution_deny(&resolution, reason);
        *ret_resolution = resolution;
}

char *policy_question_warning(const PolicyQuestion *question) {
        const PolicyRule *rule = question->resolution.rule;
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        if (!stream)
                return NULL;
        fprintf(stream, "warning: policy define default_target=%s at %s:", question->dropped_default, rule->path->text);
        if (rule->line > 0)
                fprintf(stream, "%u", rule->line);
        else
                fputs("None", stream);
        fputs(" but it is not among allowed targets (", stream);
        for (size_t i = 0; i < question->n_choices; ++i)
                fprintf(stream, "%s%s", i > 0 ? ", " : "", question->choices[i]);
        fputs(")", stream);
        (void)text_close(stream, &text);
        return text;
}
