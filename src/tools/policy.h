/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `qair policy`: what the verbs share.
 */
#pragma once

#include <stdbool.h>

#include "policy-tools/system.h"
#include "policy/policy.h"

/** Folders of --policy-dir: more than anybody has. */
#define POLICY_DIRECTORIES_MAX 16

typedef struct PolicyOptions {
        const char *directories[POLICY_DIRECTORIES_MAX]; /* in order of precedence */
        size_t n_directories;
        const char *inventory;   /* a folder */
        const char *system_info; /* a file or a socket, in the inventory's place; NULL: none */
        const char *relayed;     /* explain: whom the source speaks for; NULL: itself */
        bool all;
        char **arguments;
        size_t n_arguments;
} PolicyOptions;

/* The verbs. Return: a COMMAND_STATUS_… or a negative error. */
int policy_verb_explain(const PolicyOptions *options);
int policy_verb_test(const PolicyOptions *options);
int policy_verb_lint(const PolicyOptions *options);
int policy_verb_diff(const PolicyOptions *options);

/**
 * policy_options_load_policy() - the policy of the options' folders, or of @directory alone if it is not NULL
 *
 * What is wrong with it is said. Return: COMMAND_STATUS_DONE, COMMAND_STATUS_FAILED, or a negative error.
 */
int policy_options_load_policy(const PolicyOptions *options, const char *directory, Policy **ret_policy);

/** policy_options_load_system() - the domains, from where the options say. Return: as above */
int policy_options_load_system(const PolicyOptions *options, PolicySystem **ret_system);
