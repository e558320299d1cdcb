/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.RegisterArgument: a backend domain lets a frontend call one of its services with one argument, once (policy
 * specification, 8.8). Whether it may is decided by policy, before.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "policy/policy.h"

/** An argument that is registered, in bytes. */
#define POLICY_REGISTER_ARGUMENT_MAX 64

/** The file that rules are appended to, in the last of the directories. */
#define POLICY_REGISTER_FILE "60-registered-arguments.policy"

enum {
        _POLICY_REGISTER_E_SUCCESS,
        POLICY_REGISTER_E_TOO_LONG,
        POLICY_REGISTER_E_EMPTY,
        POLICY_REGISTER_E_CHARACTERS, /* of the argument */
        POLICY_REGISTER_E_REGISTERED, /* there is a rule for this service and argument already */
        POLICY_REGISTER_E_NAME,       /* frontend, backend or service is not a plain name */
        POLICY_REGISTER_E_FAILED,     /* the policy does not load, or the file cannot be written: `ret_message` */
};

typedef struct PolicyRegistration {
        const char *frontend, *backend, *service; /* untrusted; NULL: not given */
        PolicySlice argument;                     /* untrusted, without `+` */
        const char *const *directories;           /* as in PolicySources; links are followed */
        size_t n_directories;
        const char *legacy; /* NULL: POLICY_LEGACY_DIRECTORY */
} PolicyRegistration;

/**
 * policy_register() - append `SERVICE +ARGUMENT FRONTEND BACKEND allow`
 * @ret_message: on POLICY_REGISTER_E_FAILED what is wrong; the caller frees it
 *
 * The last directory is locked meanwhile, as for the Admin API; this may wait for others. The new file is whole or not
 * there, and only rules that parse are written.
 * Return: 0, POLICY_REGISTER_E_…, or a negative error.
 */
int policy_register(const PolicyRegistration *registration, char **ret_message);

/** policy_register_error() - what the log says of a POLICY_REGISTER_E_… code other than REGISTERED */
const char *policy_register_error(int r);
