/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services and arguments that policies name, for who goes through all of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

/** NULL stands for all that are not named. Texts belong to the policies. */
typedef struct PolicyPair {
        const char *service;
        const char *argument; /* with its `+` */
} PolicyPair;

typedef struct PolicySubjects {
        PolicyPair *pairs; /* sorted by service, then argument, with NULL first; none twice */
        size_t n;
        size_t n_allocated;
} PolicySubjects;

/** policy_subjects_deinit() - harmless on an all-zero one */
void policy_subjects_deinit(PolicySubjects *subjects);

/** policy_subjects_add() - one pair; sort when all have been added. Return: 0 or a negative error */
int policy_subjects_add(PolicySubjects *subjects, const char *service, const char *argument);

/** policy_subjects_add_policy() - the pair of each rule. Return: 0 or a negative error */
int policy_subjects_add_policy(PolicySubjects *subjects, const Policy *policy);

/** policy_subjects_sort() - and drop what is there twice */
void policy_subjects_sort(PolicySubjects *subjects);
