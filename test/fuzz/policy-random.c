/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random policies, inventories and requests: the compiled policy decides as the oracle does, and what was parsed is the
 * same rules after it is written and parsed again.
 *
 * Usage: policy-random [SEED [EVALUATIONS]]
 *
 * One evaluation is one request, compared in all that follows from it: the rule that decides, the target, the answer on
 * the policy socket, each choice of a question and what becomes of it. Each seed is one policy with one inventory, for
 * EVALUATIONS_PER_SEED requests, and prints nothing unless they differ; then it is printed with all that is needed to
 * make it a case. libFuzzer finds the odd texts (fuzz-policy-parse, fuzz-policy-evaluate); this one the odd combinations,
 * at many times the speed.
 */
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "fuzz.h"
#include "policy-oracle.h"

#define SEED_DEFAULT         1
#define EVALUATIONS_DEFAULT  200000
#define EVALUATIONS_PER_SEED 64
#define RULES_MAX            24
#define DOMAINS_MAX          12
#define POLICY_TEXT_MAX      8192

/* splitmix64: the same numbers everywhere for the same seed. */
static uint64_t random_state;

static uint64_t random_next(void) {
        uint64_t z = (random_state += 0x9e3779b97f4a7c15U);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
}

static size_t below(size_t n) {
        return (size_t)(random_next() % n);
}

static bool one_in(size_t n) {
        return below(n) == 0;
}

#define PICK(_texts) ((_texts)[below(ARRAY_SIZE(_texts))])

/* clang-format off */
static const char *const domain_names[] = { "dom0", "a", "b", "c", "d", "e", "f", "g", "base-1", "base-2", "far-1", "far-2" };
static const char *const tags[] = { "red", "blue", "t-3" };
static const char *const types[] = { "AppVM", "AppVM", "AppVM", "TemplateVM", "DispVM", "RemoteVM", "RemoteVM" };
static const char *const services[] = { "s.Go", "s.Go", "s.Ask", "s.Other" };
static const char *const arguments[] = { "*", "*", "*", "+", "+x", "+x+y" };
/* clang-format on */

#define DOM0_UUID "00000000-0000-0000-0000-000000000000"

/** An inventory, and the texts that it needs. */
typedef struct Sample {
        PolicyDomainInput domains[DOMAINS_MAX];
        const char *tags[DOMAINS_MAX][ARRAY_SIZE(tags)];
        char uuids[DOMAINS_MAX][48];
        size_t n_domains;
        char policy[POLICY_TEXT_MAX];
        size_t n_policy;
        OracleRequest request;
        uint64_t seed;
} Sample;

static Sample sample;

/* Mostly one that there is. */
static const char *any_name(void) {
        return one_in(12) ? "stranger" : PICK(domain_names);
}

static PolicyFact any_fact(void) {
        return one_in(40) ? POLICY_FACT_UNKNOWN : one_in(2) ? POLICY_FACT_YES : POLICY_FACT_NO;
}

static void make_domain(const char *name) {
        size_t i = sample.n_domains++;
        PolicyDomainInput *domain = &sample.domains[i];

        *domain = (PolicyDomainInput){ .name = name,
                                       .type = one_in(60) ? NULL : PICK(types),
                                       .tags = sample.tags[i],
                                       .has_tags = !one_in(60),
                                       .template_for_dispvms = any_fact(),
                                       .running = any_fact(),
                                       .internal = one_in(10) };
        if (strcmp(name, "dom0") == 0) {
                domain->uuid = DOM0_UUID;
                domain->type = "AdminVM";
        } else if (!one_in(40)) {
                snprintf(sample.uuids[i], sizeof(sample.uuids[i]), "0000000%zx-0000-4000-8000-00000000000%zx", i + 1,
                         i + 1);
                domain->uuid = sample.uuids[i];
        }
        for (size_t k = 0; k < ARRAY_SIZE(tags); ++k)
                if (one_in(3))
                        sample.tags[i][domain->n_tags++] = tags[k];
        if (!one_in(4))
                domain->default_dispvm = one_in(3) ? any_name() : one_in(2) ? "base-1" : "base-2";
        if (!one_in(4)) {
                domain->relayvm = any_name();
                domain->transport_rpc = one_in(8) ? NULL : "net.Carry";
        }
}

static void make_inventory(void) {
        sample.n_domains = 0;
        for (size_t i = 0; i < ARRAY_SIZE(domain_names); ++i)
                if (!one_in(i == 0 ? 30 : 6))
                        make_domain(domain_names[i]);
}

/* A name, or the uuid of one; in @buffer. */
static const char *any_reference(char *buffer, size_t n_buffer) {
        const PolicyDomainInput *domain = sample.n_domains > 0 ? &sample.domains[below(sample.n_domains)] : NULL;

        if (domain && domain->uuid && one_in(6))
                snprintf(buffer, n_buffer, "uuid:%s", domain->uuid);
        else
                snprintf(buffer, n_buffer, "%s", one_in(80) ? "uuid:" DOM0_UUID : any_name());
        return buffer;
}
#define REFERENCE() any_reference((char[64]){ 0 }, 64)

/* A token that may stand in @place, as policy-tokens have it. */
static const char *any_token(PolicyPlace place, char *buffer, size_t n_buffer) {
        static const char *const wide[] = { "*", "@anyvm", "@adminvm", "@default", "@dispvm" };
        size_t kind = below(place == POLICY_PLACE_REDIRECT ? 6 : 12);

        buffer[0] = '\0';
        if (kind < 4)
                snprintf(buffer, n_buffer, "%s", REFERENCE());
        else if (kind == 4)
                snprintf(buffer, n_buffer, "@dispvm:%s", REFERENCE());
        else if (place == POLICY_PLACE_REDIRECT)
                snprintf(buffer, n_buffer, "%s", wide[one_in(2) ? 2 : 4]);
        else if (kind == 5)
                snprintf(buffer, n_buffer, "@dispvm:@tag:%s", PICK(tags));
        else if (kind < 8)
                snprintf(buffer, n_buffer, "@tag:%s", PICK(tags));
        else if (kind == 8)
                snprintf(buffer, n_buffer, "@type:%s", PICK(types));
        else
                snprintf(buffer, n_buffer, "%s", wide[below(place == POLICY_PLACE_SOURCE ? 3 : ARRAY_SIZE(wide))]);
        return buffer;
}
#define TOKEN(_place) any_token((_place), (char[96]){ 0 }, 96)

static void write_text(const char *text) {
        size_t n = strlen(text);

        fuzz_check(sample.n_policy + n < POLICY_TEXT_MAX);
        memcpy(sample.policy + sample.n_policy, text, n + 1);
        sample.n_policy += n;
}

static void write_words(const char *const *words, size_t n) {
        for (size_t i = 0; i < n; ++i) {
                write_text(i > 0 ? " " : "");
                write_text(words[i]);
        }
}

static void make_rule(void) {
        static const char *const actions[] = { "allow", "allow", "ask", "ask", "deny" };
        const char *service = one_in(10) ? "*" : PICK(services), *action = PICK(actions);
        const char *target = TOKEN(POLICY_PLACE_TARGET);
        const char *const words[] = { service, service[0] == '*' ? "*" : PICK(arguments), TOKEN(POLICY_PLACE_SOURCE),
                                      target, action };
        bool is_deny = strcmp(action, "deny") == 0;

        write_words(words, ARRAY_SIZE(words));
        if (!is_deny && (one_in(4) || (strcmp(target, "@default") == 0 && strcmp(action, "allow") == 0))) {
                write_text(" target=");
                write_text(TOKEN(POLICY_PLACE_REDIRECT));
        }
        if (strcmp(action, "ask") == 0 && one_in(3)) {
                write_text(" default_target=");
                write_text(TOKEN(POLICY_PLACE_REDIRECT));
        }
        if (!is_deny && one_in(6))
                write_text(one_in(3) ? " user=" : " user=keys");
        if (!is_deny && one_in(6))
                write_text(one_in(3) ? " autostart=yes" : " autostart=no");
        if (one_in(8))
                write_text(one_in(2) ? " notify=yes" : " notify=no");
        write_text("\n");
}

static void make_policy(void) {
        size_t n = below(RULES_MAX + 1);

        sample.n_policy = 0;
        write_text("");
        while (n-- > 0)
                make_rule();
}

static void make_request(void) {
        static const char *const given[] = { "", "@default", "@dispvm", "@adminvm", "*", "@anyvm", "@tag:red" };
        OracleRequest *request = &sample.request;
        const char *text = one_in(4) ? PICK(given) : REFERENCE();

        snprintf(request->source, ORACLE_TEXT_MAX, "%s", REFERENCE());
        snprintf(request->target, ORACLE_TEXT_MAX, "%s%s", text[0] != '@' && text[0] && one_in(8) ? "@dispvm:" : "",
                 text);
        snprintf(request->service, ORACLE_TEXT_MAX, "%s", one_in(20) ? "s.Unknown" : PICK(services));
        if (!one_in(3)) {
                const char *argument = PICK(arguments);

                strcat(request->service, argument[0] == '*' ? "+z" : argument);
        }
        request->requested_source[0] = '\0';
        if (one_in(8))
                snprintf(request->requested_source, ORACLE_TEXT_MAX, "%s", REFERENCE());
}

/*
 * The comparison
 */

static Policy *parse(const char *text, size_t n) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Policy *policy = NULL;

        fuzz_check(policy_parse("random", (PolicySlice){ text, n }, &diagnostics, &policy) == 0);
        return policy;
}

/* format(parse(x)) parses to the same. */
static void check_format(const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; ++i) {
                _cleanup_(policy_unrefp) Policy *again = NULL;
                _cleanup_free_ char *text = NULL;
                size_t n = 0;

                text = policy_rule_format(&policy->rules[i], &n);
                fuzz_check(text);
                again = parse(text, n);
                fuzz_check(again->n_rules == 1 && policy_rule_equal(&policy->rules[i], &again->rules[0]));
        }
}

/* A text with a few bytes changed is either refused with a reason, or is a policy. */
static void check_damaged(void) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        char text[POLICY_TEXT_MAX];
        int r;

        if (sample.n_policy == 0)
                return;
        memcpy(text, sample.policy, sample.n_policy);
        for (size_t n = 1 + below(4); n > 0; --n)
                text[below(sample.n_policy)] = one_in(2) ? text[below(sample.n_policy)] : (char)below(256);
        r = policy_parse("damaged", (PolicySlice){ text, sample.n_policy }, &diagnostics, &policy);
        fuzz_check(r >= 0 && (r == 0) == (policy != NULL) && (r == 0) == (diagnostics.n_entries == 0));
        if (policy)
                check_format(policy);
}

static void run_seed(uint64_t seed, size_t n_requests) {
        OracleInventory inventory;
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = NULL;
        _cleanup_(policy_unrefp) Policy *policy = NULL;

        sample.seed = random_state = seed;
        make_inventory();
        make_policy();
        inventory = (OracleInventory){ sample.domains, sample.n_domains };
        fuzz_check(policy_facts_new(sample.domains, sample.n_domains, &facts) == 0);
        policy = parse(sample.policy, sample.n_policy);
        check_format(policy);
        check_damaged();
        while (n_requests-- > 0) {
                make_request();
                oracle_check(policy, facts, &inventory, &sample.request);
        }
}

/* abort() was called: say what for, in one go. */
static void on_abort(int signal_number) {
        static char text[POLICY_TEXT_MAX + 4096];
        int n;

        (void)signal_number;
        n = snprintf(text, sizeof(text), "seed %" PRIu64 ": %s -> %s %s%s%s, policy:\n%s", sample.seed,
                     sample.request.source, sample.request.target[0] ? sample.request.target : "-",
                     sample.request.service, sample.request.requested_source[0] ? ", relayed for " : "",
                     sample.request.requested_source, sample.policy);
        (void)fd_write_full(STDERR_FILENO, text, (size_t)n);
        for (size_t i = 0; i < sample.n_domains; ++i) {
                const PolicyDomainInput *domain = &sample.domains[i];

                n = snprintf(text, sizeof(text), "# %s %s %s default_dispvm=%s relayvm=%s base=%d running=%d%s%s\n",
                             domain->name, domain->uuid ?: "-", domain->type ?: "-", domain->default_dispvm ?: "-",
                             domain->relayvm ?: "-", (int)domain->template_for_dispvms, (int)domain->running,
                             domain->internal ? " internal" : "", domain->has_tags ? "" : " unknown tags");
                (void)fd_write_full(STDERR_FILENO, text, (size_t)n);
        }
}

int main(int argc, char **argv) {
        uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : SEED_DEFAULT;
        uint64_t n_wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : EVALUATIONS_DEFAULT;
        uint64_t seed = first, n = 0;
        struct timespec begin, end;
        double sec;

        signal(SIGABRT, on_abort);
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (; n < n_wanted; ++seed, n += EVALUATIONS_PER_SEED)
                run_seed(seed, EVALUATIONS_PER_SEED);
        clock_gettime(CLOCK_MONOTONIC, &end);
        sec = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
        printf("%" PRIu64 " evaluations, seeds %" PRIu64 " to %" PRIu64 ", none differs; %.1f s, %.0f a second\n", n,
               first, seed - 1, sec, (double)n / sec);
        return 0;
}
