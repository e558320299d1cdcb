/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a policy takes to load, and one decision.
 *
 * The mix: a tenth of the rules are for any service, the others for 500 services; sources and targets are names, tags,
 * types and keywords, as they come. Each request is one that some rule was written for; what is decided (an earlier rule
 * may) tells the row that it counts for. The worst cases: all rules for one service, and the last one decides.
 *
 * Times are of the processor, not of the wall, so that others who keep the machine busy shift them little.
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "policy/evaluate.h"
#include "policy/question.h"

#define SERVICES 500
#define TAGS     50
/** Files of the mix; as many rules in each. */
#define FILES 10

/** Decisions that are timed; of questions, which take as long as there are rules, fewer. */
#define DECISIONS      20000
#define QUESTIONS_COST 2000000 /* rules looked at */

/** Requests of each outcome that are told apart before. */
#define REQUESTS_MAX 1000

static const int rule_counts[] = { 10, 1000, 10000, 100000 };
static const int domain_counts[] = { 10, 1000, 10000 };

/** Targets: microseconds. */
#define TARGET_MIX    1.0
#define TARGET_WORST  20.0
#define TARGET_RELOAD 20000.0
#define TARGET_RULES  10000

static void die(const char *what) {
        fprintf(stderr, "bench-policy: %s: %s\n", what, strerror(errno));
        exit(1);
}

static double now_usec(void) {
        struct timespec now;

        if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) < 0)
                die("clock_gettime");
        return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The same numbers each time. */
static unsigned below(unsigned n) {
        static uint64_t state = 1;

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned)(state >> 33) % n;
}

static const char *verdict(double usec, double target) {
        return usec <= target ? "met" : "MISSED";
}

/*
 * Domains
 */

static PolicyFacts *make_facts(int n) {
        _cleanup_free_ PolicyDomainInput *inputs = calloc((size_t)n, sizeof(*inputs));
        _cleanup_free_ char(*texts)[4][40] = calloc((size_t)n, sizeof(*texts));
        _cleanup_free_ const char *(*lists)[2] = calloc((size_t)n, sizeof(*lists));
        PolicyFacts *facts = NULL;

        if (!inputs || !texts || !lists)
                die("calloc");
        for (int i = 0; i < n; ++i) {
                snprintf(texts[i][0], sizeof(texts[i][0]), "d%d", i);
                snprintf(texts[i][1], sizeof(texts[i][1]), "%08x-0000-4000-8000-000000000000", (unsigned)i + 1);
                snprintf(texts[i][2], sizeof(texts[i][2]), "t%d", i % TAGS);
                lists[i][0] = texts[i][2];
                lists[i][1] = "common";
                inputs[i] = (PolicyDomainInput){ .name = texts[i][0],
                                                 .uuid = texts[i][1],
                                                 .type = i % 10 == 0 ? "TemplateVM" : "AppVM",
                                                 .tags = lists[i],
                                                 .n_tags = 2,
                                                 .has_tags = true,
                                                 .template_for_dispvms = i % 7 == 0 ? POLICY_FACT_YES : POLICY_FACT_NO,
                                                 .running = POLICY_FACT_YES,
                                                 .default_dispvm = "d0" };
        }
        if (policy_facts_new(inputs, (size_t)n, &facts) != 0)
                die("policy_facts_new");
        return facts;
}

/*
 * The mix
 */

static char root[] = "/tmp/bench-policy.XXXXXX";

/* One side of a rule, and a domain that it is about. */
static void write_side(FILE *stream, int n_domains, bool is_source) {
        unsigned kind = below(100);

        if (kind < 70)
                fprintf(stream, " d%u", below((unsigned)n_domains));
        else if (kind < 90)
                fprintf(stream, " @tag:t%u", below(TAGS));
        else if (kind < 94)
                fputs(" @type:TemplateVM", stream);
        else if (kind < 97)
                fputs(is_source ? " @anyvm" : " @dispvm", stream);
        else
                fprintf(stream, is_source ? " d%u" : " @dispvm:d%u", 7 * below((unsigned)n_domains / 7 + 1));
}

static void write_rule(FILE *stream, int n_domains) {
        static const char *const actions[] = { "allow", "allow", "ask", "deny" };

        if (below(10) == 0) {
                fprintf(stream, "* * d%u d%u deny\n", below((unsigned)n_domains), below((unsigned)n_domains));
                return;
        }
        fprintf(stream, "qubes.Service%u", below(SERVICES));
        if (below(5) == 0)
                fprintf(stream, " +argument%u", below(20));
        else
                fputs(" *", stream);
        write_side(stream, n_domains, true);
        write_side(stream, n_domains, false);
        fprintf(stream, " %s\n", actions[below(ARRAY_SIZE(actions))]);
}

static void write_mix(int n_rules, int n_domains) {
        for (int i = 0; i < FILES; ++i) {
                char path[64];
                FILE *stream;

                snprintf(path, sizeof(path), "%s/%02d-mix.policy", root, i);
                stream = fopen(path, "we");
                if (!stream)
                        die(path);
                for (int k = i * n_rules / FILES; k < (i + 1) * n_rules / FILES; ++k)
                        write_rule(stream, n_domains);
                if (fclose(stream) != 0)
                        die(path);
        }
}

static Policy *load_mix(double *ret_usec) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        const char *directory = root;
        Policy *policy = NULL;
        double best = 0;

        /* The best of three: what else happens only ever makes it longer. */
        for (int i = 0; i < 3; ++i) {
                double begin;

                policy_unref(policy);
                begin = now_usec();
                if (policy_load(&(PolicySources){ .directories = &directory, .n_directories = 1 }, &diagnostics,
                                &policy) != 0)
                        die(diagnostics.n_entries > 0 ? diagnostics.entries[0].text : "policy_load");
                if (i == 0 || now_usec() - begin < best)
                        best = now_usec() - begin;
        }
        *ret_usec = best;
        return policy;
}

/** Requests with the same outcome. */
typedef struct Requests {
        PolicyRequest requests[REQUESTS_MAX];
        char texts[REQUESTS_MAX][2][64];
        size_t n;
} Requests;

static PolicySlice side_of(const PolicyFacts *facts, const PolicyToken *token, bool is_source, char text[static 64]) {
        if (token->kind == POLICY_TOKEN_NAME)
                return policy_atom_slice(token->value);
        if (!is_source && token->kind == POLICY_TOKEN_DISPVM)
                return POLICY_SLICE("@dispvm");
        if (!is_source && token->kind == POLICY_TOKEN_DISPVM_BASE) {
                snprintf(text, 64, "@dispvm:%s", token->value->text);
                return policy_slice(text);
        }
        /* Any domain for which the token stands; of names there is always one. */
        for (size_t i = below((unsigned)facts->n_domains), k = 0; k < facts->n_domains; ++i, ++k) {
                const PolicyDomain *domain = &facts->domains[i % facts->n_domains];

                if (token->kind == POLICY_TOKEN_ANYVM ||
                    (token->kind == POLICY_TOKEN_TAG &&
                     policy_domain_has_tag(domain, token->value) == POLICY_FACT_YES) ||
                    (token->kind == POLICY_TOKEN_TYPE &&
                     policy_domain_has_type(domain, token->value) == POLICY_FACT_YES))
                        return policy_atom_slice(domain->name);
        }
        return policy_atom_slice(facts->domains[0].name);
}

/* Requests that random rules were written for, by what becomes of them. */
static void collect(const Policy *policy, const PolicyFacts *facts, Requests requests[static 3]) {
        for (int i = 0; i < 3; ++i)
                requests[i].n = 0;
        for (int tries = 0; tries < 20 * REQUESTS_MAX; ++tries) {
                const PolicyRule *rule = &policy->rules[below((unsigned)policy->n_rules)];
                char texts[2][64], service[64];
                PolicyRequest request;
                PolicyResolution resolution;
                Requests *of_outcome;

                snprintf(service, sizeof(service), "%s%s", rule->service ? rule->service->text : "qubes.Service7",
                         rule->argument ? rule->argument->text
                         : below(2)     ? "+argument7"
                                        : "");
                request = (PolicyRequest){ .source = side_of(facts, &rule->source, true, texts[1]),
                                           .target = side_of(facts, &rule->target, false, texts[0]),
                                           .service = policy_slice(service) };
                policy_evaluate(policy, facts, &request, &resolution);
                of_outcome = &requests[resolution.outcome];
                if (of_outcome->n == REQUESTS_MAX)
                        continue;
                memcpy(of_outcome->texts[of_outcome->n][0], texts[0], sizeof(texts[0]));
                memcpy(of_outcome->texts[of_outcome->n][1], service, sizeof(service));
                request.service.text = of_outcome->texts[of_outcome->n][1];
                if (request.target.text == texts[0])
                        request.target.text = of_outcome->texts[of_outcome->n][0];
                of_outcome->requests[of_outcome->n++] = request;
        }
}

/* One decision, with the question where there is one; in microseconds. 0: there are no such requests. */
static double time_decisions(Policy *policy, PolicyFacts *facts, const Requests *requests, PolicyOutcome outcome) {
        size_t n =
                outcome == POLICY_OUTCOME_ASK ? QUESTIONS_COST / (policy->n_rules + facts->n_domains) + 10 : DECISIONS;
        double begin, best = 0;

        if (requests->n == 0)
                return 0;
        for (int round = 0; round < 3; ++round) {
                begin = now_usec();
                for (size_t i = 0; i < n; ++i) {
                        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
                        PolicyResolution resolution;

                        policy_evaluate(policy, facts, &requests->requests[i % requests->n], &resolution);
                        if (resolution.outcome != outcome)
                                die("a decision has changed");
                        if (outcome == POLICY_OUTCOME_ASK &&
                            policy_question_new(policy, facts, &resolution, &question) < 0)
                                die("policy_question_new");
                }
                if (round == 0 || (now_usec() - begin) / (double)n < best)
                        best = (now_usec() - begin) / (double)n;
        }
        return best;
}

static void print_cell(double usec) {
        if (usec == 0)
                printf(" %9s", "-");
        else
                printf(" %9.3f", usec);
}

static void bench_mix(void) {
        static Requests requests[3];
        double allow = 0, deny = 0, reload = 0;

        printf("The mix: 10 %% of the rules for any service, the others for %d services. Microseconds of processor "
               "time.\n\n"
               "%9s %9s %9s %9s %9s %9s\n",
               SERVICES, "rules", "domains", "load (ms)", "allow", "deny", "ask");
        for (size_t i = 0; i < ARRAY_SIZE(rule_counts); ++i)
                for (size_t k = 0; k < ARRAY_SIZE(domain_counts); ++k) {
                        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = make_facts(domain_counts[k]);
                        _cleanup_(policy_unrefp) Policy *policy = NULL;
                        double usec, times[3];

                        write_mix(rule_counts[i], domain_counts[k]);
                        policy = load_mix(&usec);
                        collect(policy, facts, requests);
                        for (int outcome = 0; outcome < 3; ++outcome)
                                times[outcome] =
                                        time_decisions(policy, facts, &requests[outcome], (PolicyOutcome)outcome);
                        printf("%9d %9d %9.2f", rule_counts[i], domain_counts[k], usec / 1000);
                        print_cell(times[POLICY_OUTCOME_ALLOW]);
                        print_cell(times[POLICY_OUTCOME_DENY]);
                        print_cell(times[POLICY_OUTCOME_ASK]);
                        printf("\n");
                        fflush(stdout);
                        if (rule_counts[i] != TARGET_RULES)
                                continue;
                        allow = times[POLICY_OUTCOME_ALLOW] > allow ? times[POLICY_OUTCOME_ALLOW] : allow;
                        deny = times[POLICY_OUTCOME_DENY] > deny ? times[POLICY_OUTCOME_DENY] : deny;
                        reload = usec > reload ? usec : reload;
                }
        printf("\nat %d rules: allow %.3f us, target <= %g us: %s\n", TARGET_RULES, allow, TARGET_MIX,
               verdict(allow, TARGET_MIX));
        printf("at %d rules: deny %.3f us, target <= %g us: %s\n", TARGET_RULES, deny, TARGET_MIX,
               verdict(deny, TARGET_MIX));
        printf("at %d rules: reload %.2f ms, target < %g ms: %s\n\n", TARGET_RULES, reload / 1000, TARGET_RELOAD / 1000,
               verdict(reload, TARGET_RELOAD));
}

/*
 * The worst cases
 */

#define WORST_DOMAINS 1000

static const struct {
        const char *name;
        const char *rule; /* %1$d: its number; %2$d: a domain's */
} shapes[] = {
        { "source by name", "s.Go * d%2$d stranger%1$d deny" },
        { "target by name", "s.Go * @anyvm stranger%1$d deny" },
        { "an argument each", "s.Go +a%1$d @anyvm @anyvm deny" },
        { "source by tag", "s.Go * @tag:none%1$d @anyvm deny" },
        { "both by tag, one that all have", "s.Go * @tag:common @tag:none%1$d deny" },
        { "one source, any base", "s.Go * d1 @dispvm:stranger%1$d deny" },
        { "everybody, any base", "s.Go * @anyvm @dispvm:stranger%1$d deny" },
        { "everybody, any base by tag", "s.Go * @anyvm @dispvm:@tag:none%1$d deny" },
        { "everybody, @default", "s.Go * @anyvm @default deny" },
        { "a service each", "s.Other%1$d * d%2$d @anyvm deny" },
};

/* The formats are those of the table above, with two integers each. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *make_worst(const char *rule) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        if (!stream)
                die("open_memstream");
        for (int i = 0; i < TARGET_RULES - 1; ++i) {
                fprintf(stream, rule, i, i % WORST_DOMAINS);
                fputc('\n', stream);
        }
        fputs("s.Go * @anyvm @anyvm allow\n", stream);
        if (fclose(stream) != 0)
                die("open_memstream");
        return text;
}
#pragma GCC diagnostic pop

static double bench_worst(const char *name, const char *rule, PolicyFacts *facts) {
        static Requests requests;
        _cleanup_free_ char *text = make_worst(rule);
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        double usec;

        if (policy_parse("bench", policy_slice(text), &diagnostics, &policy) != 0)
                die(diagnostics.n_entries > 0 ? diagnostics.entries[0].text : "policy_parse");
        requests.n = 0;
        for (size_t i = 0; i < REQUESTS_MAX; ++i)
                requests.requests[requests.n++] = (PolicyRequest){
                        .source = policy_atom_slice(facts->domains[i % 2 ? 1 : i % WORST_DOMAINS].name),
                        .target = policy_atom_slice(facts->domains[(i * 7 + 2) % WORST_DOMAINS].name),
                        .service = POLICY_SLICE("s.Go+x"),
                };
        usec = time_decisions(policy, facts, &requests, POLICY_OUTCOME_ALLOW);
        printf("%-34s %9.3f\n", name, usec);
        return usec;
}

static void bench_all_worst(void) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = make_facts(WORST_DOMAINS);
        double worst = 0;

        printf("The worst cases: %d rules, all for the service that is called but in the last row, the last decides;\n"
               "%d domains. Microseconds of processor time.\n\n",
               TARGET_RULES, WORST_DOMAINS);
        for (size_t i = 0; i < ARRAY_SIZE(shapes); ++i) {
                double usec = bench_worst(shapes[i].name, shapes[i].rule, facts);

                worst = usec > worst ? usec : worst;
        }
        printf("\nthe worst of them: %.3f us, target <= %g us: %s\n", worst, TARGET_WORST,
               verdict(worst, TARGET_WORST));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

int main(void) {
        if (!mkdtemp(root))
                die(root);
        bench_mix();
        bench_all_worst();
        return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
