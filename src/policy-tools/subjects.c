/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/subjects.h"

#include <errno.h>

#include "base/error.h"

#define PAIRS_MIN 64

void policy_subjects_deinit(PolicySubjects *subjects) {
        free(subjects->pairs);
        *subjects = (PolicySubjects){};
}

int policy_subjects_add(PolicySubjects *subjects, const char *service, const char *argument) {
        if (subjects->n == subjects->n_allocated) {
                size_t n = subjects->n_allocated ? subjects->n_allocated * 2 : PAIRS_MIN;
                PolicyPair *larger = reallocarray(subjects->pairs, n, sizeof(*larger));

                if (!larger)
                        return error_origin(-ENOMEM);
                subjects->pairs = larger;
                subjects->n_allocated = n;
        }
        subjects->pairs[subjects->n++] = (PolicyPair){ service, argument };
        return 0;
}

int policy_subjects_add_policy(PolicySubjects *subjects, const Policy *policy) {
        int r = 0;

        for (size_t i = 0; i < policy->n_rules && r == 0; ++i) {
                const PolicyRule *rule = &policy->rules[i];

                r = policy_subjects_add(subjects, rule->service ? rule->service->text : NULL,
                                        rule->argument ? rule->argument->text : NULL);
        }
        return r;
}

static int pair_compare_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int pair_compare(const void *a, const void *b) {
        const PolicyPair *x = a, *y = b;
        int order = pair_compare_text(x->service, y->service);

        return order != 0 ? order : pair_compare_text(x->argument, y->argument);
}

void policy_subjects_sort(PolicySubjects *subjects) {
        size_t n = 0;

        if (subjects->n > 1)
                qsort(subjects->pairs, subjects->n, sizeof(*subjects->pairs), pair_compare);
        for (size_t i = 0; i < subjects->n; ++i)
                if (n == 0 || pair_compare(&subjects->pairs[n - 1], &subjects->pairs[i]) != 0)
                        subjects->pairs[n++] = subjects->pairs[i];
        subjects->n = n;
}
