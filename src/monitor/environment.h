/* SPDX-License-Identifier: Apache-2.0 */
/* An environment to start a program with: NAME=VALUE strings, and a NULL behind the last, all of them on the heap. */
#pragma once

#include <stdbool.h>

/** environment_get() - Return: a borrowed value, or NULL */
const char *environment_get(char *const *environment, const char *name);

/**
 * environment_set() - set or replace one
 * @environment: an array from malloc(3) or NULL (empty); replaced
 *
 * Return: 0 or a negative error.
 */
int environment_set(char ***environment, const char *name, const char *value);

/** environment_copy() - a copy of all of @from; the caller's. Return: 0 or a negative error */
int environment_copy(char *const *from, char ***ret_environment);

/** environment_free() - accepts NULL */
void environment_free(char **environment);
