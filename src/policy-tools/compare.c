/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/compare.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "policy-tools/decision.h"
#include "policy-tools/subjects.h"
#include "policy-tools/targets.h"

/** Characters that no rule can name (policy specification, 2.1), so that these stand for what is not named. */
#define UNNAMED_SERVICE  "*"
#define UNNAMED_ARGUMENT "+*"

typedef struct Compare {
        FILE *stream;
        Policy *old_policy, *new_policy;
        PolicyFacts *facts;
        PolicySubjects subjects;
        PolicyTargets targets;
        size_t n_found;
} Compare;

static void compare_deinit(Compare *compare) {
        policy_subjects_deinit(&compare->subjects);
        policy_targets_deinit(&compare->targets);
}

static int compare_decide(const Compare *compare, Policy *policy, const PolicyRequest *request, char **ret_text) {
        _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
        int r;

        r = policy_decide(policy, compare->facts, request, &decision);
        if (r < 0)
                return r;
        *ret_text = policy_decision_format(&decision);
        return *ret_text ? 0 : error_origin(-ENOMEM);
}

static int compare_both(const Compare *compare, const PolicyRequest *request, char **ret_old, char **ret_new) {
        int r = compare_decide(compare, compare->old_policy, request, ret_old);

        return r ?: compare_decide(compare, compare->new_policy, request, ret_new);
}

static char *compare_service(PolicyPair pair) {
        char *text = NULL;

        if (asprintf(&text, "%s%s", pair.service ?: UNNAMED_SERVICE,
                     pair.service ? pair.argument ?: UNNAMED_ARGUMENT : "") < 0)
                return NULL;
        return text;
}

/* Is the same said one step more generally: for any argument, or for any service? */
static int compare_is_told(const Compare *compare, PolicyRequest request, PolicyPair pair, const char *old_text,
                           const char *new_text, bool *ret_told) {
        PolicyPair wider = { .service = pair.argument ? pair.service : NULL };
        _cleanup_free_ char *service = NULL, *old_wider = NULL, *new_wider = NULL;
        int r;

        *ret_told = false;
        if (!pair.service)
                return 0;
        service = compare_service(wider);
        if (!service)
                return error_origin(-ENOMEM);
        request.service = policy_slice(service);
        r = compare_both(compare, &request, &old_wider, &new_wider);
        if (r < 0)
                return r;
        /* For a remote target the decision has the name of the service in it, so the texts differ; then it is told. */
        *ret_told = strcmp(old_wider, old_text) == 0 && strcmp(new_wider, new_text) == 0;
        return 0;
}

static int compare_one(Compare *compare, const char *source, const char *target, PolicyPair pair) {
        _cleanup_free_ char *service = compare_service(pair), *old_text = NULL, *new_text = NULL;
        PolicyRequest request = { .source = policy_slice(source), .target = policy_slice(target) };
        bool told;
        int r;

        if (!service)
                return error_origin(-ENOMEM);
        request.service = policy_slice(service);
        r = compare_both(compare, &request, &old_text, &new_text);
        if (r < 0)
                return r;
        if (strcmp(old_text, new_text) == 0)
                return 0;
        r = compare_is_told(compare, request, pair, old_text, new_text, &told);
        if (r < 0 || told)
                return r;
        ++compare->n_found;
        if (pair.argument && pair.argument[1] == '\0')
                service[strlen(service) - 1] = '\0'; /* no argument */
        fprintf(compare->stream, "%s -> %s %s\n- %s\n+ %s\n", source, target, service, old_text, new_text);
        return 0;
}

static int compare_subject(Compare *compare, PolicyPair pair) {
        for (size_t i = 0; i < compare->facts->n_domains; ++i) {
                const PolicyAtom *source = compare->facts->domains[i].name;

                if (policy_name_is_dom0(policy_atom_slice(source)))
                        continue;
                for (size_t k = 0; k < compare->targets.n; ++k) {
                        int r = compare_one(compare, source->text, compare->targets.names[k], pair);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* What is not named comes with everything that is: each service with any argument, and any service. */
static int compare_collect(Compare *compare) {
        size_t n;
        int r;

        r = policy_subjects_add_policy(&compare->subjects, compare->old_policy);
        r = r ?: policy_subjects_add_policy(&compare->subjects, compare->new_policy);
        n = compare->subjects.n;
        for (size_t i = 0; i < n && r == 0; ++i)
                r = policy_subjects_add(&compare->subjects, compare->subjects.pairs[i].service, NULL);
        for (size_t i = 0; i < n && r == 0; ++i)
                if (compare->subjects.pairs[i].service)
                        r = policy_subjects_add(&compare->subjects, compare->subjects.pairs[i].service, "+");
        r = r ?: policy_subjects_add(&compare->subjects, NULL, NULL);
        policy_subjects_sort(&compare->subjects);
        return r;
}

int policy_compare(FILE *stream, Policy *old_policy, Policy *new_policy, PolicyFacts *facts, size_t *ret_n) {
        _cleanup_(compare_deinit) Compare compare = {
                .stream = stream, .old_policy = old_policy, .new_policy = new_policy, .facts = facts
        };
        int r;

        r = compare_collect(&compare);
        r = r ?: policy_targets_init(&compare.targets, facts);
        for (size_t i = 0; i < compare.subjects.n && r == 0; ++i)
                r = compare_subject(&compare, compare.subjects.pairs[i]);
        if (r < 0)
                return r;
        *ret_n = compare.n_found;
        return 0;
}
