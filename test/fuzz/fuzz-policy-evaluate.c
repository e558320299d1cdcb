/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled policy decides as somebody would who goes through the rules one by one and compares texts.
 *
 * Input: a line `SOURCE TARGET SERVICE [REQUESTED-SOURCE]` (TARGET `-`: none), then a policy. The inventory is the
 * tests' own. The oracle below follows sections 4 and 5 of the policy specification word by word, and shares nothing
 * with the engine but the parsed rules.
 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "policy/evaluate.h"
#include "policy/lexer.h"
#include "policy/question.h"
#include "policy/test-house.h"

/** Texts of the oracle; requests that do not fit are not tried. */
#define TEXT_MAX 256

typedef char Text[TEXT_MAX];

typedef enum Answer { NO, YES, FAULT } Answer;

/*
 * The oracle
 */

static const PolicyDomainInput *find(const char *text) {
        for (size_t i = 0; i < ARRAY_SIZE(house); ++i) {
                Text uuid;

                if (strcmp(house[i].name, text) == 0)
                        return &house[i];
                snprintf(uuid, sizeof(uuid), "uuid:%s", house[i].uuid ?: "none");
                if (house[i].uuid && strcmp(uuid, text) == 0)
                        return &house[i];
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

static bool same(const char *a, const char *b) {
        const PolicyDomainInput *domain;

        if (is_uuid(a) == is_uuid(b))
                return strcmp(a, b) == 0;
        domain = find(is_uuid(a) ? b : a);
        return domain && domain->uuid && strcmp(domain->uuid, (is_uuid(a) ? a : b) + 5) == 0;
}

static bool names(const char *rule, const char *text) {
        return is_dom0(rule) ? is_dom0(text) : same(rule, text);
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

static Answer match_source(PolicyToken rule, const char *source) {
        const PolicyDomainInput *domain = find(source);

        switch (rule.kind) {
        case POLICY_TOKEN_ANY:
                return YES;
        case POLICY_TOKEN_ANYVM:
                return !is_dom0(source);
        case POLICY_TOKEN_ADMINVM:
                return is_dom0(source);
        case POLICY_TOKEN_TYPE:
                return domain ? has_type(domain, value(rule)) : NO;
        case POLICY_TOKEN_TAG:
                return domain ? has_tag(domain, value(rule)) : NO;
        case POLICY_TOKEN_NAME:
                return names(value(rule), source);
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
        case POLICY_TOKEN_DISPVM_BASE:
        case POLICY_TOKEN_DISPVM_TAG:
                return NO;
        }
        return NO;
}

static bool begins(const char *text, const char *prefix) {
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

static Answer match_base(PolicyToken rule, const char *source, const char *target) {
        const PolicyDomainInput *caller = find(source), *base;

        if (begins(target, "@dispvm:")) {
                base = find(target + strlen("@dispvm:"));
                if (rule.kind == POLICY_TOKEN_DISPVM_BASE)
                        return same(value(rule), target + strlen("@dispvm:"));
        } else if (strcmp(target, "@dispvm") == 0) {
                if (rule.kind == POLICY_TOKEN_DISPVM_BASE && (!caller || !caller->default_dispvm))
                        return FAULT;
                if (!caller || !caller->default_dispvm)
                        return NO;
                if (rule.kind == POLICY_TOKEN_DISPVM_BASE)
                        return strcmp(value(rule), caller->default_dispvm) == 0;
                base = find(caller->default_dispvm);
        } else {
                return NO;
        }
        if (!base || is_base(base) == FAULT)
                return FAULT;
        return is_base(base) == YES ? has_tag(base, value(rule)) : NO;
}

static Answer match_target(PolicyToken rule, const char *source, const char *target) {
        const PolicyDomainInput *domain = target[0] == '@' ? NULL : find(target);

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
                return match_base(rule, source, target);
        case POLICY_TOKEN_NAME:
                return (target[0] != '@' || is_dom0(target)) && names(value(rule), target);
        case POLICY_TOKEN_NONE:
                return NO;
        }
        return NO;
}

static Answer match(const PolicyRule *rule, const char *source, const char *target, const char *service,
                    const char *argument) {
        Answer answer;

        if ((rule->service && strcmp(rule->service->text, service) != 0) ||
            (rule->argument && strcmp(rule->argument->text, argument) != 0))
                return NO;
        answer = match_source(rule->source, source);
        return answer == YES ? match_target(rule->target, source, target) : answer;
}

/* 4.4. Return: is there a request target? */
static bool request_target(const char *given, Text ret_target) {
        const PolicyDomainInput *domain;

        snprintf(ret_target, TEXT_MAX, "%s", given[0] ? given : "@default");
        if (begins(ret_target, "@dispvm:") && ret_target[strlen("@dispvm:")] != '@') {
                domain = find(ret_target + strlen("@dispvm:"));
                return domain && is_base(domain) == YES;
        }
        if (ret_target[0] == '@')
                return strcmp(ret_target, "@adminvm") == 0 || strcmp(ret_target, "@default") == 0 ||
                       strcmp(ret_target, "@dispvm") == 0;
        if (strcmp(ret_target, "*") == 0)
                return false;
        if (!find(ret_target))
                snprintf(ret_target, TEXT_MAX, "@default");
        return true;
}

/* 5.2. Return: may the source speak for it? */
static bool request_source(const char *source, const char *requested, Text ret_source) {
        const PolicyDomainInput *domain = find(requested);

        snprintf(ret_source, TEXT_MAX, "%s", requested[0] ? requested : source);
        return !requested[0] || (domain && domain->type && strcmp(domain->type, "RemoteVM") == 0 && domain->relayvm &&
                                 strcmp(domain->relayvm, source) == 0);
}

/*
 * The comparison
 */

static void check_question(Policy *policy, PolicyFacts *facts, PolicyResolution *resolution) {
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        int r = policy_question_new(policy, facts, resolution, &question);

        fuzz_check(r >= 0);
        fuzz_check((r == 0) == (question != NULL));
        fuzz_check((r == 0) == (resolution->outcome == POLICY_OUTCOME_ASK));
        if (!question)
                return;
        fuzz_check(question->n_choices > 0);
        for (size_t i = 0; i < question->n_choices; ++i) {
                PolicyResolution answer;
                Text text;

                fuzz_check(i == 0 || strcmp(question->choices[i - 1], question->choices[i]) < 0);
                policy_question_answer(question, policy_slice(question->choices[i]), &answer);
                fuzz_check(answer.outcome == POLICY_OUTCOME_ALLOW);
                fuzz_check(policy_target_format(&answer.target, text, sizeof(text)) != 0 ||
                           strcmp(text, question->choices[i]) == 0);
                policy_route(facts, &answer);
                fuzz_check(answer.is_routed == (answer.outcome == POLICY_OUTCOME_ALLOW));
        }
}

static void check(Policy *policy, PolicyFacts *facts, Text words[static 4]) {
        PolicyRequest request = { .source = policy_slice(words[0]),
                                  .target = policy_slice(words[1]),
                                  .service = policy_slice(words[2]),
                                  .requested_source = policy_slice(words[3]) };
        const char *plus = strchr(words[2], '+'), *argument = plus ?: "+";
        const PolicyRule *decider = NULL;
        PolicyResolution resolution;
        Text source, target, service;
        Answer answer = NO;

        snprintf(service, sizeof(service), "%.*s", (int)(plus ? plus - words[2] : TEXT_MAX), words[2]);
        policy_evaluate(policy, facts, &request, &resolution);
        if (!request_target(words[1], target) || !request_source(words[0], words[3], source)) {
                fuzz_check(resolution.outcome == POLICY_OUTCOME_DENY && !resolution.rule);
                return;
        }
        for (size_t i = 0; i < policy->n_rules && answer == NO; ++i) {
                answer = match(&policy->rules[i], source, target, service, argument);
                if (answer != NO)
                        decider = &policy->rules[i];
        }
        fuzz_check(resolution.rule == decider);
        if (answer != YES) {
                fuzz_check(resolution.outcome == POLICY_OUTCOME_DENY);
                fuzz_check(resolution.reason == (answer == NO ? POLICY_REASON_NO_MATCH : POLICY_REASON_FAULT));
                return;
        }
        switch (decider->action) {
        case POLICY_ACTION_DENY:
                fuzz_check(resolution.outcome == POLICY_OUTCOME_DENY && resolution.reason == POLICY_REASON_RULE);
                break;
        case POLICY_ACTION_ASK:
                fuzz_check(resolution.outcome == POLICY_OUTCOME_ASK);
                check_question(policy, facts, &resolution);
                break;
        case POLICY_ACTION_ALLOW:
                fuzz_check(resolution.outcome != POLICY_OUTCOME_ASK);
                policy_route(facts, &resolution);
                fuzz_check(resolution.is_routed == (resolution.outcome == POLICY_OUTCOME_ALLOW));
                break;
        }
}

static bool read_request(PolicySlice line, Text words[static 4]) {
        PolicySlice word;
        size_t n = 0;

        while (policy_words_next(&line, &word)) {
                if (n == 4 || word.n >= TEXT_MAX || memchr(word.text, '\0', word.n))
                        return false;
                memcpy(words[n], word.text, word.n);
                words[n++][word.n] = '\0';
        }
        if (n >= 2 && strcmp(words[1], "-") == 0)
                words[1][0] = '\0';
        return n >= 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        PolicyLines lines = POLICY_LINES_INIT(((PolicySlice){ (const char *)data, n }));
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = house_facts();
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        Text words[4] = {};
        PolicySlice line;
        int r;

        fuzz_check(facts);
        if (policy_utf8_check(lines.rest) || !policy_lines_next(&lines, &line) || !read_request(line, words))
                return 0;
        r = policy_parse("fuzz", lines.rest, &diagnostics, &policy);
        fuzz_check(r >= 0);
        if (r == 0)
                check(policy, facts, words);
        return 0;
}
