/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calling the policy Admin API (policy specification, 8.6, 9.5): from a domain it is a call to dom0 like any other, which
 * policy decides about. Root on the host runs the program behind the services itself: it needs nobody's permission to
 * change its own files, and has to be able to when the broker is down or the policy is broken.
 */
#pragma once

#include "policy-tools/admin.h"

/** Size of what a failed call may have to say. */
#define POLICY_ADMIN_COMPLAINT_MAX 65536

/** Who carries the calls out, and how. Paths. */
typedef struct PolicyAdminClient {
        const char *client;  /* qrexec-client-vm */
        const char *program; /* qubes-policy-admin; run directly if `is_host` */
        bool is_host;
} PolicyAdminClient;

/** policy_admin_client_is_host() - is this root on the host itself, rather than somebody in a domain? */
bool policy_admin_client_is_host(const char *run_dir);

/**
 * policy_admin_call() - call one of the services, and wait for its end
 * @argument:  without its `+`; "": none
 * @payload:   at most POLICY_ADMIN_PAYLOAD_MAX
 * @ret_reply: the caller deinitialises it. On POLICY_ADMIN_E_INTERNAL `message` is what the call wrote to standard error
 *             and `output` what to its output, which need not have come from the service
 *
 * SIGPIPE must be ignored; it is not in the process that is started.
 * Return: 0, POLICY_ADMIN_E_REFUSED by the service, POLICY_ADMIN_E_INTERNAL for any other failure, or a negative error.
 */
int policy_admin_call(const PolicyAdminClient *client, const char *service, const char *argument, PolicySlice payload,
                      PolicyAdminReply *ret_reply);
