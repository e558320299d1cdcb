/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-policy-admin: the services policy.List, policy.Get and so on of dom0 (policy specification, 8.6). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "policy-tools/admin.h"
#include "policy-tools/adminlog.h"
#include "policy/quote.h"

#define LOG_DEFAULT "/var/log/qubes/policy-admin.log"

enum {
        STATUS_DONE = 0,
        STATUS_REFUSED = 1,
        STATUS_INTERNAL = 2,
};

static void note(const char *path, const char *service, const char *caller, const char *what, const char *message) {
        policy_admin_log(path, "%s (%s)%s%s", ESCAPED(service, strlen(service)), ESCAPED(caller, strlen(caller)), what,
                         ESCAPED(message, strlen(message)));
}

static int run(const char *log, const char *service, const char *caller) {
        size_t n_name = strcspn(service, "+");
        PolicyAdminRequest request = { .service = { service, n_name },
                                       .argument = policy_slice(service + n_name + (service[n_name] == '+')),
                                       .directory = getenv("QREXEC_POLICY_DIR") ?: PATHS_POLICY_DIR,
                                       .legacy = getenv("QREXEC_POLICY_LEGACY_DIR") };
        _cleanup_(policy_admin_reply_deinit) PolicyAdminReply reply = {};
        _cleanup_free_ char *payload = NULL;
        size_t n_payload = 0;
        int r;

        r = fd_read_all(STDIN_FILENO, POLICY_ADMIN_PAYLOAD_MAX, &payload, &n_payload);
        if (r == FD_E_TOO_LONG)
                r = -EFBIG;
        if (r == 0) {
                request.payload = (PolicySlice){ payload, n_payload };
                r = policy_admin(&request, &reply);
        }
        switch (r) {
        case 0:
                note(log, service, caller, "", "");
                if (fd_write_full(STDOUT_FILENO, reply.output, reply.n_output) < 0)
                        return STATUS_INTERNAL;
                return STATUS_DONE;
        case POLICY_ADMIN_E_REFUSED:
                note(log, service, caller, ": error: ", reply.message);
                fprintf(stderr, "%s %s", reply.error_class, reply.message);
                return STATUS_REFUSED;
        default:
                note(log, service, caller, ": exception: ", r < 0 ? strerror(-r) : reply.message);
                return -1;
        }
}

int main(int argc, char **argv) {
        const char *log = getenv("QREXEC_POLICY_ADMIN_LOG") ?: LOG_DEFAULT;
        char quoted[512];
        int status;

        log_open("qubes-policy-admin", false);
        log_set_max_level(
                (LogLevel)(LOG_LEVEL_ERROR - 1)); /* standard error is the caller's: it gets the message, not a trace */
        if (fd_ensure_standard() < 0)
                return STATUS_INTERNAL;
        status = run(log, getenv("QREXEC_SERVICE_FULL_NAME") ?: "", getenv("QREXEC_REMOTE_DOMAIN") ?: "");
        if (status >= 0)
                return status;
        fprintf(stderr, "Internal error. See %s in dom0 for details.",
                policy_quote(quoted, sizeof(quoted), policy_slice(log)));
        return STATUS_INTERNAL;
}
