/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/adminclient.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/exchange.h"

extern char **environ;

bool policy_admin_client_is_host(const char *run_dir) {
        char dom0[PATH_MAX], socket[PATH_MAX];

        snprintf(dom0, sizeof(dom0), "%s/dom0", run_dir);
        snprintf(socket, sizeof(socket), "%s/qrexec-agent", run_dir);
        /* A domain's root sees its own run directory there, which has a socket to call through and nothing of dom0. */
        return geteuid() == 0 && (access(dom0, F_OK) == 0 || access(socket, F_OK) < 0);
}

/* Variables of @environ but for those that the service is told by, and these two. NULL: no memory */
static char **admin_call_environment(char *name, char *caller) {
        size_t n = 0, k = 0;
        char **result;

        while (environ[n])
                ++n;
        result = calloc(n + 3, sizeof(*result));
        if (!result)
                return NULL;
        for (size_t i = 0; i < n; ++i)
                if (strncmp(environ[i], "QREXEC_", strlen("QREXEC_")) != 0)
                        result[k++] = environ[i];
        result[k++] = name;
        result[k] = caller;
        return result;
}

/* `CLASS MESSAGE`, or anything else. */
static int admin_call_refused(Exchange *exchange, PolicyAdminReply *reply) {
        const char *text = exchange->err ?: "";
        size_t n = strcspn(text, " ");

        reply->error_class = policy_admin_class((PolicySlice){ text, n });
        reply->message = strdup(reply->error_class ? text + n + (text[n] == ' ') : text);
        if (!reply->message)
                return error_origin(-ENOMEM);
        return reply->error_class ? POLICY_ADMIN_E_REFUSED : POLICY_ADMIN_E_INTERNAL;
}

/* The program that serves the calls, told what an agent would tell it. */
static int admin_call_local(const PolicyAdminClient *client, const char *full_name, PolicySlice payload,
                            Exchange *ret_exchange) {
        char caller[] = "QREXEC_REMOTE_DOMAIN=dom0";
        _cleanup_free_ char *name = NULL, **environment = NULL;

        if (asprintf(&name, "QREXEC_SERVICE_FULL_NAME=%s", full_name) < 0) {
                name = NULL;
                return error_origin(-ENOMEM);
        }
        environment = admin_call_environment(name, caller);
        if (!environment)
                return error_origin(-ENOMEM);
        return exchange_run((const char *const[]){ client->program, NULL }, environment, payload.text, payload.n,
                            POLICY_ADMIN_PAYLOAD_MAX, POLICY_ADMIN_COMPLAINT_MAX, ret_exchange);
}

int policy_admin_call(const PolicyAdminClient *client, const char *service, const char *argument, PolicySlice payload,
                      PolicyAdminReply *ret_reply) {
        _cleanup_(exchange_deinit) Exchange exchange = {};
        _cleanup_free_ char *full_name = NULL;
        PolicyAdminReply reply = {};
        int r;

        if (asprintf(&full_name, "%s%s%s", service, argument[0] != '\0' ? "+" : "", argument) < 0) {
                full_name = NULL;
                return error_origin(-ENOMEM);
        }
        if (client->is_host)
                r = admin_call_local(client, full_name, payload, &exchange);
        else
                r = exchange_run((const char *const[]){ client->client, "--", "dom0", full_name, NULL }, NULL,
                                 payload.text, payload.n, POLICY_ADMIN_PAYLOAD_MAX, POLICY_ADMIN_COMPLAINT_MAX,
                                 &exchange);
        if (r < 0)
                return error_trace(r);
        if (r > 0 || exchange.status != 0)
                r = admin_call_refused(&exchange, &reply);
        if (r < 0)
                return r;
        reply.output = steal_ptr(&exchange.out);
        reply.n_output = exchange.n_out;
        *ret_reply = reply;
        return r;
}
