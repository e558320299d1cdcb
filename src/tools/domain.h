/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `qair domain`: what the verbs share.
 */
#pragma once

#include <stdbool.h>

#include "inventory/inventory.h"

struct json_object;

typedef struct DomainOptions {
        const char *dir;
        bool json;
        bool no_accounts;
        bool keep;          /* remove: calls that are open go on */
        const char *name;   /* of the domain, valid; NULL: the verb takes none */
        char **assignments; /* KEY=VALUE, ends with NULL */
        size_t n_assignments;
} DomainOptions;

/* The verbs. Return: a COMMAND_STATUS_… or a negative error. */
int domain_add(const DomainOptions *options);
int domain_set(const DomainOptions *options);
int domain_remove(const DomainOptions *options);
int domain_show(const DomainOptions *options);
int domain_list(const DomainOptions *options);
int domain_check(const DomainOptions *options);
int domain_start(const DomainOptions *options);
int domain_stop(const DomainOptions *options);

/**
 * domain_wait_in_force() - after a change: until the broker serves what the folder says now
 *
 * Does nothing for a folder that no broker reads, or while there is none. If it takes too long, that is said; the change
 * stands all the same. Return: 0 or a negative error.
 */
int domain_wait_in_force(const DomainOptions *options);

/**
 * domain_states() - which domains run, as far as the broker tells us
 * @ret_states: an object, NAME: STATE; the caller's. Empty if there is no broker, or it is not ours to ask
 *
 * Return: 0 or a negative error.
 */
int domain_states(const DomainOptions *options, struct json_object **ret_states);
