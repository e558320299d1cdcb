/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-policy-register: the service policy.RegisterArgument of dom0 (policy specification, 8.8). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "policy-tools/adminlog.h"
#include "policy-tools/register.h"

#define LOG_DEFAULT "/var/log/qubes/policy-register.log"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
};

#define SHOWN(_text) ESCAPED((_text), strlen(_text))

/* One byte more than may be: then it is too long. Return: how many */
static size_t read_argument(char argument[static POLICY_REGISTER_ARGUMENT_MAX + 1]) {
        size_t n = 0;

        while (n <= POLICY_REGISTER_ARGUMENT_MAX && fd_read_full(STDIN_FILENO, argument + n, 1) == 0)
                ++n;
        return n;
}

static int run(const char *log) {
        const char *directories[] = { getenv("QREXEC_POLICY_RUN_DIR") ?: PATHS_POLICY_RUN_DIR,
                                      getenv("QREXEC_POLICY_DIR") ?: PATHS_POLICY_DIR };
        char argument[POLICY_REGISTER_ARGUMENT_MAX + 1];
        PolicyRegistration registration = { .frontend = getenv("QREXEC_REQUESTED_TARGET"),
                                            .backend = getenv("QREXEC_REMOTE_DOMAIN"),
                                            .service = getenv("QREXEC_SERVICE_ARGUMENT"),
                                            .argument = { argument, read_argument(argument) },
                                            .directories = directories,
                                            .n_directories = ARRAY_SIZE(directories),
                                            .legacy = getenv("QREXEC_POLICY_LEGACY_DIR") };
        const char *service = SHOWN(registration.service ?: ""), *frontend = SHOWN(registration.frontend ?: "");
        const char *backend = SHOWN(registration.backend ?: "");
        _cleanup_free_ char *message = NULL;
        int r = policy_register(&registration, &message);

        switch (r) {
        case 0:
                policy_admin_log(log, "%s: %s → %s %.*s argument allowed", service, frontend, backend,
                                 (int)registration.argument.n, argument);
                return STATUS_DONE;
        case POLICY_REGISTER_E_REGISTERED:
                policy_admin_log(log, "%s: %s → %s %.*s argument failed: argument already registered", service,
                                 frontend, backend, (int)registration.argument.n, argument);
                return STATUS_FAILED;
        default:
                policy_admin_log(log, "%s: %s → %s request refused: %s%s%s", service, frontend, backend,
                                 r < 0 ? strerror(-r) : policy_register_error(r), message ? ": " : "",
                                 message ? SHOWN(message) : "");
                return STATUS_FAILED;
        }
}

int main(int argc, char **argv) {
        log_open("qubes-policy-register", false);
        log_set_max_level((LogLevel)(LOG_LEVEL_ERROR - 1)); /* there is no output, whatever happens */
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        return run(getenv("QREXEC_POLICY_REGISTER_LOG") ?: LOG_DEFAULT);
}
