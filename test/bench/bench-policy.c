/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a decision takes with 10 000 rules, in the shapes that such a policy may have. In each the last rule
 * decides, which is the worst place for it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "policy/evaluate.h"

#define RULES     10000
#define DOMAINS   200
#define DECISIONS 20000

static const struct {
        const char *name;
        const char *rule; /* %1$d: its number; %2$d: a domain's */
} shapes[] = {
        { "a service each", "s.S%1$d * d%2$d * deny" },
        { "one service, source by name", "s.Go * d%2$d t%1$d deny" },
        { "one service, target by name", "s.Go * @anyvm t%1$d deny" },
        { "one service, an argument each", "s.Go +a%1$d @anyvm @anyvm deny" },
        { "one service, source by tag", "s.Go * @tag:t%1$d @anyvm deny" },
        { "one service, both by tag", "s.Go * @tag:common @tag:t%1$d deny" },
};

/* The formats are those of the table above, with two integers each. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *make_policy(const char *rule) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        if (!stream)
                return NULL;
        for (int i = 0; i < RULES - 1; ++i) {
                fprintf(stream, rule, i, i % DOMAINS);
                fputc('\n', stream);
        }
        fputs("* * * * allow\n", stream);
        return fclose(stream) == 0 ? text : NULL;
}
#pragma GCC diagnostic pop

static PolicyFacts *make_facts(void) {
        static char names[DOMAINS][16], uuids[DOMAINS][40];
        static const char *const tags[] = { "common", "other" };
        PolicyDomainInput inputs[DOMAINS];
        PolicyFacts *facts = NULL;

        for (int i = 0; i < DOMAINS; ++i) {
                snprintf(names[i], sizeof(names[i]), "d%d", i);
                snprintf(uuids[i], sizeof(uuids[i]), "%08x-0000-4000-8000-000000000000", (unsigned)i);
                inputs[i] = (PolicyDomainInput){ .name = names[i],
                                                 .uuid = uuids[i],
                                                 .type = "AppVM",
                                                 .tags = tags,
                                                 .n_tags = ARRAY_SIZE(tags),
                                                 .has_tags = true,
                                                 .template_for_dispvms = POLICY_FACT_NO,
                                                 .running = POLICY_FACT_YES };
        }
        return policy_facts_new(inputs, DOMAINS, &facts) == 0 ? facts : NULL;
}

static int bench(const char *name, const char *rule, const PolicyFacts *facts) {
        _cleanup_free_ char *text = make_policy(rule);
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        uint64_t begin, loaded, end;

        if (!text)
                return 1;
        begin = clock_now();
        if (policy_parse("bench", policy_slice(text), &diagnostics, &policy) != 0)
                return 1;
        loaded = clock_now();
        for (size_t i = 0; i < DECISIONS; ++i) {
                PolicyRequest request = {
                        .source = policy_atom_slice(facts->domains[i % DOMAINS].name),
                        .target = policy_atom_slice(facts->domains[(i * 7 + 1) % DOMAINS].name),
                        .service = POLICY_SLICE("s.Go+x"),
                };
                PolicyResolution resolution;

                policy_evaluate(policy, facts, &request, &resolution);
                if (resolution.outcome != POLICY_OUTCOME_ALLOW)
                        return 1;
        }
        end = clock_now();
        printf("%-32s %8.3f us a decision, %6.1f ms to load\n", name, (double)(end - loaded) / DECISIONS,
               (double)(loaded - begin) / 1000);
        return 0;
}

int main(void) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = make_facts();

        if (!facts)
                return 1;
        for (size_t i = 0; i < ARRAY_SIZE(shapes); ++i)
                if (bench(shapes[i].name, shapes[i].rule, facts) != 0)
                        return 1;
        return 0;
}
