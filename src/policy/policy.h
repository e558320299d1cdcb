/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy: all rules in order, compiled. Immutable once made, so whoever holds a reference may go on using it while a
 * newer one takes its place.
 *
 * There is no partial policy (specification, 1.5): one error anywhere, and there is none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "policy/atom.h"
#include "policy/index.h"
#include "policy/rule.h"
#include "policy/slice.h"

/*
 * Limits (1.4). They protect against an accident, such as a device or a log file in the place of a policy file, or
 * includes that double at each step; the files are the administrator's.
 */
#define POLICY_FILE_SIZE_MAX     ((size_t)4 << 20)
#define POLICY_LINE_MAX          ((size_t)64 << 10)
#define POLICY_FILES_MAX         8192 /* read, each inclusion counted */
#define POLICY_RULES_MAX         200000
#define POLICY_INCLUDE_DEPTH_MAX 64

#define POLICY_LEGACY_DIRECTORY "/etc/qubes-rpc/policy"

enum {
        _POLICY_E_SUCCESS,
        POLICY_E_SYNTAX, /* an error in a file's text, or a limit exceeded; diagnostics are "PATH:LINE: TEXT" */
        POLICY_E_LOAD,   /* a bad file name, a missing directory, an unreadable file; diagnostics are whole messages */
};

/** Read-only outside of the library. */
typedef struct Policy {
        unsigned n_refs;
        PolicyAtoms atoms;
        PolicyRule *rules; /* in the order in which they apply */
        size_t n_rules;
        size_t n_allocated;
        PolicyIndex index;
        /* Every file read, once for each time, and every folder that was included, with a slash at its end; for whoever
         * watches them. */
        const PolicyAtom **files;
        size_t n_files;
        Diagnostics warnings; /* what worked, but should be known */
} Policy;

/** A change to one file that is not made yet: what would the policy be after it? (8.5) */
typedef struct PolicyChange {
        const char *path; /* real path */
        PolicySlice text; /* its new content */
        bool removes;     /* there will be no such file */
} PolicyChange;

/** Where the files are. Paths should be absolute. */
typedef struct PolicySources {
        const char *const *directories; /* in order of precedence: /run/qubes/policy.d, then /etc/qubes/policy.d */
        size_t n_directories;
        const char *legacy;         /* what !compat-4.0 reads; NULL: POLICY_LEGACY_DIRECTORY */
        bool ignores_legacy;        /* !compat-4.0 does nothing (9.8) */
        const PolicyChange *change; /* read the files as they would be after it; directories are real paths; NULL: none.
                                       Only to see whether they load: a changed top-level file comes after the others */
} PolicySources;

/**
 * policy_load() - read and compile the files of some directories (specification, sections 1 to 3)
 * @reterr:     on POLICY_E_…, what is wrong: first the error that the specification has reported, then others found
 * @ret_policy: with one reference, the caller's
 *
 * Return: 0, the POLICY_E_… of the first error, or a negative error.
 */
int policy_load(const PolicySources *sources, Diagnostics *reterr, Policy **ret_policy);

/**
 * policy_parse() - compile a text that is not in a file
 * @path: what diagnostics and rules call it
 *
 * Directives name files, and are errors here. Return: as policy_load().
 */
int policy_parse(const char *path, PolicySlice text, Diagnostics *reterr, Policy **ret_policy);

/** policy_ref() - one more owner. Return: @policy */
Policy *policy_ref(Policy *policy);

/** policy_unref() - one owner less; the last frees it. Accepts NULL. Return: NULL */
Policy *policy_unref(Policy *policy);
DEFINE_CLEANUP(Policy *, policy_unref)

/*
 * For the loader
 */

/** policy_new() - an empty policy, which refuses everything. Return: 0 or a negative error */
int policy_new(Policy **ret_policy);

/** policy_add_rule() - append a rule, whose atoms are of the policy's table. Return: 0 or a negative error */
int policy_add_rule(Policy *policy, const PolicyRule *rule);

/** policy_compile() - all rules have been added: make it ready for use. Return: 0 or a negative error */
int policy_compile(Policy *policy);

/** policy_add_file() - note that a file was read; @path is an atom of the policy's table. Return: 0 or a negative error */
int policy_add_file(Policy *policy, const PolicyAtom *path);
