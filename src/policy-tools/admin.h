/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy Admin API (policy specification, section 8): nine services that list, show, replace and remove the files of
 * one policy directory. A change is made only if the whole policy loads after it, only if the caller has seen what it
 * replaces, and whole or not at all.
 *
 * Who may call is not asked here: policy decides before (8.7).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "policy/policy.h"

/** Size of a payload: what a policy file may have, and a token. */
#define POLICY_ADMIN_PAYLOAD_MAX (POLICY_FILE_SIZE_MAX + 4096)

/**
 * Mode of files that are written. As 8.5 has it, and with the folder's group, where that group may write the folder:
 * that is how an administrator lets the services write. Elsewhere root's changes give nobody else a file to write.
 */
#define POLICY_ADMIN_MODE       0644
#define POLICY_ADMIN_MODE_GROUP 0664

enum {
        _POLICY_ADMIN_E_SUCCESS,
        POLICY_ADMIN_E_REFUSED,  /* `error_class` and `message` say why */
        POLICY_ADMIN_E_INTERNAL, /* `message` is for the log alone */
};

typedef struct PolicyAdminRequest {
        PolicySlice service;  /* such as "policy.Get" */
        PolicySlice argument; /* without its `+`; empty: none */
        PolicySlice payload;
        const char *directory; /* links in it are resolved once */
        const char *legacy;    /* NULL: POLICY_LEGACY_DIRECTORY */
} PolicyAdminRequest;

typedef struct PolicyAdminReply {
        char *output; /* NUL-terminated, but NUL may also occur inside; the caller frees it */
        size_t n_output;
        const char *error_class;
        char *message; /* the caller frees it */
} PolicyAdminReply;

/** policy_admin_reply_deinit() - harmless on an all-zero one */
void policy_admin_reply_deinit(PolicyAdminReply *reply);

/** policy_admin_class() - the class of errors called @name, by which clients tell them apart, or NULL (8.6) */
const char *policy_admin_class(PolicySlice name);

/**
 * policy_admin() - carry out one request, all of it untrusted but for its directories (8.2 to 8.5)
 *
 * The directory is locked for as long as it takes; this may wait for others.
 * Return: 0, POLICY_ADMIN_E_…, or a negative error.
 */
int policy_admin(const PolicyAdminRequest *request, PolicyAdminReply *ret_reply);
