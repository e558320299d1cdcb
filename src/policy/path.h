/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths and directories of policy files (policy specification, 1.2 and 3.1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/slice.h"

/** Symbolic links followed in one path: what Linux itself allows (path_resolution(7)). */
#define POLICY_PATH_LINKS_MAX 40

enum {
        _POLICY_PATH_E_SUCCESS,
        POLICY_PATH_E_LOOP, /* too many symbolic links, too long, or not a path */
};

/**
 * policy_path_resolve() - the real path: absolute, links followed, `.` and `..` removed
 * @directory: where a relative @path starts; NULL: the working directory
 * @ret_path:  the caller frees it
 *
 * What does not exist is kept as it is written, so that a message can name it.
 * Return: 0, POLICY_PATH_E_LOOP, or a negative error.
 */
int policy_path_resolve(const char *directory, PolicySlice path, char **ret_path);

/** policy_path_is_file() - a regular file, or a link to one? */
bool policy_path_is_file(const char *path);

/** policy_path_is_directory() - a directory, or a link to one? */
bool policy_path_is_directory(const char *path);

typedef struct PolicyNames {
        char **names; /* sorted by bytes */
        size_t n;
} PolicyNames;

/** policy_names_deinit() - free the names; harmless on what is empty */
void policy_names_deinit(PolicyNames *names);

/**
 * policy_names_list() - the names of the regular files, and links to such, directly in @directory
 *
 * Names that begin with `.` are left out. Return: 0 or -errno (not logged: what it means is the caller's to say).
 */
int policy_names_list(const char *directory, PolicyNames *ret_names);

/** policy_names_list_all() - the same, with names that begin with `.` */
int policy_names_list_all(const char *directory, PolicyNames *ret_names);
