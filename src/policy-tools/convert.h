/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turning the rules of the legacy directory, which !compat-4.0 reads, into policy files (policy specification, 9.8): a
 * plan of what each file gets, which is then carried out and can be undone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "policy/policy.h"

/** Files that rules can go to. */
#define POLICY_CONVERSION_FILES 8

/** One step that was done, and how to undo it. */
typedef struct PolicyConversionStep {
        enum {
                POLICY_CONVERSION_CREATED,
                POLICY_CONVERSION_REPLACED,
                POLICY_CONVERSION_RENAMED,
        } kind;
        char *path; /* what is there now */
        char *from; /* REPLACED: the backup; RENAMED: the path before */
} PolicyConversionStep;

typedef struct PolicyConversion {
        const char *directory, *legacy;
        char *rules[POLICY_CONVERSION_FILES]; /* text of the rules that a file gets, one on a line; NULL: none */
        size_t n_rules;                       /* that are converted */
        PolicyConversionStep *steps;
        size_t n_steps;
} PolicyConversion;

enum {
        _POLICY_CONVERSION_E_SUCCESS,
        POLICY_CONVERSION_E_FAILED, /* said on the stream */
};

/** policy_conversion_deinit() - harmless on an all-zero one; undoes nothing */
void policy_conversion_deinit(PolicyConversion *conversion);

/**
 * policy_conversion_plan() - which rules go to which file
 * @directory, @legacy: where the files are, and where the legacy ones; must outlive the conversion
 * @all, @others:       the policy with the legacy directory, and without it (PolicySources.ignores_legacy)
 * @stream:             told of rules that are left out
 * @ret_conversion:     deinitialised by the caller
 *
 * Rules that !compat-4.0 adds (3.6) are converted too: they decide like any other.
 * Return: 0 or a negative error.
 */
int policy_conversion_plan(const char *directory, const char *legacy, const Policy *all, const Policy *others,
                           FILE *stream, PolicyConversion *ret_conversion);

/**
 * policy_conversion_apply() - write the files, with backups of those that exist, and put the legacy ones aside
 * @stream: told of each file
 *
 * On failure some steps may have been done: undo them.
 * Return: 0, POLICY_CONVERSION_E_FAILED, or a negative error.
 */
int policy_conversion_apply(PolicyConversion *conversion, FILE *stream);

/** policy_conversion_undo() - the last step first. Return: 0, POLICY_CONVERSION_E_FAILED if one could not be undone */
int policy_conversion_undo(PolicyConversion *conversion, FILE *stream);
