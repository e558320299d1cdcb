/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/compare.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "policy-tools/decision.h"
#include "policy-tools/subjects.h"
#include "policy-tools/targets.h"

/** Characters that no rule can name (policy specification, 2.1), so that these stand for what is not named. */
#define UNNAMED_SERVICE  "*"
#define UNNAMED_ARGUMENT "+*"

/** Choices of a question that are shown, where the other policy does not ask; of more their number. */
#define CHOICES_SHOWN 4

/** Differences that read the same: of these sources, for these targets. */
typedef struct CompareGroup {
        char *sources, *targets; /* with commas between them */
        char *old_text, *new_text;
} CompareGroup;

typedef struct CompareGroups {
        CompareGroup *groups;
        size_t n;
} CompareGroups;

typedef struct Compare {
        FILE *stream;
        Policy *old_policy, *new_policy;
        const PolicySystem *system;
        PolicySubjects subjects;
        PolicyTargets targets;
        CompareGroups of_source, of_subject;
        size_t n_found;
} Compare;

static void compare_groups_clear(CompareGroups *groups) {
        for (size_t i = 0; i < groups->n; ++i) {
                free(groups->groups[i].sources);
                free(groups->groups[i].targets);
                free(groups->groups[i].old_text);
                free(groups->groups[i].new_text);
        }
        free(groups->groups);
        *groups = (CompareGroups){};
}

static void compare_deinit(Compare *compare) {
        policy_subjects_deinit(&compare->subjects);
        policy_targets_deinit(&compare->targets);
        compare_groups_clear(&compare->of_source);
        compare_groups_clear(&compare->of_subject);
}

/** What both policies say to one request. */
typedef struct ComparePair {
        PolicyDecision old_decision, new_decision;
} ComparePair;

static void compare_pair_deinit(ComparePair *pair) {
        policy_decision_deinit(&pair->old_decision);
        policy_decision_deinit(&pair->new_decision);
}

static int compare_decide(const Compare *compare, const PolicyRequest *request, ComparePair *ret_pair) {
        int r = policy_decide(compare->old_policy, compare->system, request, &ret_pair->old_decision);

        return r ?: policy_decide(compare->new_policy, compare->system, request, &ret_pair->new_decision);
}

static bool compare_field_is_told(const PolicyDecision *decision, PolicyField field) {
        /* What is started at a relay follows from the target, and has the name of the service in it. */
        return decision->fields[field] && !decision->is_usual[field] && field != POLICY_FIELD_SERVICE;
}

static bool compare_is_same(const PolicyDecision *a, const PolicyDecision *b) {
        if (a->outcome != b->outcome)
                return false;
        for (size_t i = 0; i < _POLICY_FIELD_N; ++i) {
                bool a_tells = compare_field_is_told(a, (PolicyField)i),
                     b_tells = compare_field_is_told(b, (PolicyField)i);

                if (a_tells != b_tells || (a_tells && strcmp(a->fields[i], b->fields[i]) != 0))
                        return false;
        }
        return true;
}

/*
 * Text
 */

static bool compare_offers(const PolicyQuestion *question, const char *choice) {
        for (size_t i = 0; i < question->n_choices; ++i)
                if (strcmp(question->choices[i], choice) == 0)
                        return true;
        return false;
}

/* Of two questions what only this one offers; of one question alone its choices, or how many there are. */
static void compare_write_choices(FILE *stream, const PolicyQuestion *question, const PolicyQuestion *other,
                                  const char *word) {
        size_t n = 0;

        for (size_t i = 0; i < question->n_choices; ++i) {
                if (other && compare_offers(other, question->choices[i]))
                        continue;
                if (!other && n == CHOICES_SHOWN) {
                        fprintf(stream, ",… (%zu)", question->n_choices);
                        return;
                }
                fprintf(stream, "%s%s", n++ > 0 ? "," : other ? word : " targets=", question->choices[i]);
        }
        if (other && n > 0)
                fputc(')', stream);
}

/* @target: what was asked for; a call that goes there is just allowed. The caller frees it. Return: NULL: no memory */
static char *compare_text(const PolicyDecision *decision, const PolicyDecision *other, const char *target,
                          const char *word) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        if (!stream)
                return NULL;
        fputs(policy_outcome_name(decision->outcome), stream);
        for (size_t i = 0; i < _POLICY_FIELD_N; ++i) {
                if (!compare_field_is_told(decision, (PolicyField)i))
                        continue;
                if (i == POLICY_FIELD_TARGETS)
                        compare_write_choices(stream, decision->question, other->question, word);
                else if (i != POLICY_FIELD_TARGET || decision->outcome != POLICY_OUTCOME_ALLOW ||
                         strcmp(decision->fields[i], target) != 0)
                        fprintf(stream, " %s=%s", policy_field_name((PolicyField)i), decision->fields[i]);
        }
        (void)text_close(stream, &text);
        return text;
}

/*
 * Groups
 */

/* Appends @name to the list, with a comma. */
static int compare_append(char **list, const char *name) {
        char *longer = NULL;

        if (asprintf(&longer, "%s, %s", *list, name) < 0)
                return error_origin(-ENOMEM);
        free(*list);
        *list = longer;
        return 0;
}

/* A copy of @group as one of its own. */
static int compare_groups_add(CompareGroups *groups, const char *source, const char *targets, const char *old_text,
                              const char *new_text) {
        CompareGroup *larger = reallocarray(groups->groups, groups->n + 1, sizeof(*larger)), *group;

        if (!larger)
                return error_origin(-ENOMEM);
        groups->groups = larger;
        group = &groups->groups[groups->n++];
        *group = (CompareGroup){ strdup(source), strdup(targets), strdup(old_text), strdup(new_text) };
        return group->sources && group->targets && group->old_text && group->new_text ? 0 : error_origin(-ENOMEM);
}

static bool compare_group_reads(const CompareGroup *group, const char *old_text, const char *new_text) {
        return strcmp(group->old_text, old_text) == 0 && strcmp(group->new_text, new_text) == 0;
}

static int compare_add_target(Compare *compare, const char *source, const char *target, const char *old_text,
                              const char *new_text) {
        CompareGroups *groups = &compare->of_source;

        for (size_t i = 0; i < groups->n; ++i)
                if (compare_group_reads(&groups->groups[i], old_text, new_text))
                        return compare_append(&groups->groups[i].targets, target);
        return compare_groups_add(groups, source, target, old_text, new_text);
}

/* All targets of a source have been looked at: sources for which all is the same go together. */
static int compare_end_source(Compare *compare) {
        CompareGroups *all = &compare->of_subject;
        int r = 0;

        for (size_t i = 0; i < compare->of_source.n && r == 0; ++i) {
                const CompareGroup *group = &compare->of_source.groups[i];
                size_t k = 0;

                while (k < all->n && !(compare_group_reads(&all->groups[k], group->old_text, group->new_text) &&
                                       strcmp(all->groups[k].targets, group->targets) == 0))
                        ++k;
                r = k < all->n
                            ? compare_append(&all->groups[k].sources, group->sources)
                            : compare_groups_add(all, group->sources, group->targets, group->old_text, group->new_text);
        }
        compare_groups_clear(&compare->of_source);
        return r;
}

static void compare_end_subject(Compare *compare, const char *service) {
        for (size_t i = 0; i < compare->of_subject.n; ++i) {
                const CompareGroup *group = &compare->of_subject.groups[i];

                fprintf(compare->stream, "%s -> %s %s\n- %s\n+ %s\n", group->sources, group->targets, service,
                        group->old_text, group->new_text);
        }
        compare_groups_clear(&compare->of_subject);
}

/*
 * Requests
 */

static char *compare_service(PolicyPair pair) {
        char *text = NULL;

        if (asprintf(&text, "%s%s", pair.service ?: UNNAMED_SERVICE,
                     pair.service ? pair.argument ?: UNNAMED_ARGUMENT : "") < 0)
                return NULL;
        return text;
}

/* Is the same said one step more generally: for any argument, or for any service? */
static int compare_is_told(const Compare *compare, PolicyRequest request, PolicyPair subject, const ComparePair *pair,
                           bool *ret_told) {
        PolicyPair wider = { .service = subject.argument ? subject.service : NULL };
        _cleanup_(compare_pair_deinit) ComparePair wider_pair = {};
        _cleanup_free_ char *service = NULL;
        int r;

        *ret_told = false;
        if (!subject.service)
                return 0;
        service = compare_service(wider);
        if (!service)
                return error_origin(-ENOMEM);
        request.service = policy_slice(service);
        r = compare_decide(compare, &request, &wider_pair);
        if (r < 0)
                return r;
        *ret_told = compare_is_same(&pair->old_decision, &wider_pair.old_decision) &&
                    compare_is_same(&pair->new_decision, &wider_pair.new_decision);
        return 0;
}

static int compare_one(Compare *compare, const char *source, const char *target, PolicyPair subject,
                       const char *service) {
        _cleanup_free_ char *old_text = NULL, *new_text = NULL;
        PolicyRequest request = { .source = policy_slice(source),
                                  .target = policy_slice(target),
                                  .service = policy_slice(service) };
        _cleanup_(compare_pair_deinit) ComparePair pair = {};
        bool told;
        int r;

        r = compare_decide(compare, &request, &pair);
        if (r < 0 || compare_is_same(&pair.old_decision, &pair.new_decision))
                return r;
        r = compare_is_told(compare, request, subject, &pair, &told);
        if (r < 0 || told)
                return r;
        ++compare->n_found;
        old_text = compare_text(&pair.old_decision, &pair.new_decision, target, " (no longer offered: ");
        new_text = compare_text(&pair.new_decision, &pair.old_decision, target, " (now offered: ");
        if (!old_text || !new_text)
                return error_origin(-ENOMEM);
        return compare_add_target(compare, source, target, old_text, new_text);
}

static int compare_subject(Compare *compare, PolicyPair subject) {
        _cleanup_free_ char *service = compare_service(subject);
        int r = 0;

        if (!service)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < compare->system->facts->n_domains && r == 0; ++i) {
                const PolicyAtom *source = compare->system->facts->domains[i].name;

                if (policy_name_is_dom0(policy_atom_slice(source)))
                        continue;
                for (size_t k = 0; k < compare->targets.n && r == 0; ++k)
                        r = compare_one(compare, source->text, compare->targets.names[k], subject, service);
                r = r ?: compare_end_source(compare);
        }
        if (subject.argument && subject.argument[1] == '\0')
                service[strlen(service) - 1] = '\0'; /* no argument */
        if (r == 0)
                compare_end_subject(compare, service);
        return r;
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

int policy_compare(FILE *stream, Policy *old_policy, Policy *new_policy, const PolicySystem *system, size_t *ret_n) {
        _cleanup_(compare_deinit) Compare compare = {
                .stream = stream, .old_policy = old_policy, .new_policy = new_policy, .system = system
        };
        int r;

        r = compare_collect(&compare);
        r = r ?: policy_targets_init(&compare.targets, system->facts);
        for (size_t i = 0; i < compare.subjects.n && r == 0; ++i)
                r = compare_subject(&compare, compare.subjects.pairs[i]);
        if (r < 0)
                return r;
        *ret_n = compare.n_found;
        return 0;
}
