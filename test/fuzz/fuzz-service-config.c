/* SPDX-License-Identifier: Apache-2.0 */
/* What was accepted, written in its plainest form, means the same. */
#include "fuzz.h"

#include <string.h>

#include "agent/config.h"

static void check_again(const Config *config) {
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
        _cleanup_(config_deinit) Config again = CONFIG_INIT;
        _cleanup_free_ char *text = NULL;
        int n, r;

        n = asprintf(&text,
                     "wait-for-session=%s\nskip-service-descriptor=%s\nexit-on-service-eof=%s\n"
                     "exit-on-client-eof=%s\n%s%s%s",
                     config->wait_for_session ? "true" : "false", config->skip_service_descriptor ? "true" : "false",
                     config->exit_on_service_eof ? "true" : "false", config->exit_on_client_eof ? "true" : "false",
                     config->force_user ? "force-user='" : "", config->force_user ?: "",
                     config->force_user ? "'\n" : "");
        fuzz_check(n > 0);
        r = config_parse("again", text, (size_t)n, &errors, NULL, &again);
        fuzz_check(r == 0);
        fuzz_check(again.wait_for_session == config->wait_for_session);
        fuzz_check(again.skip_service_descriptor == config->skip_service_descriptor);
        fuzz_check(again.exit_on_service_eof == config->exit_on_service_eof);
        fuzz_check(again.exit_on_client_eof == config->exit_on_client_eof);
        fuzz_check(!again.force_user == !config->force_user);
        fuzz_check(!again.force_user || strcmp(again.force_user, config->force_user) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT, notices = DIAGNOSTICS_INIT;
        _cleanup_(config_deinit) Config config = CONFIG_INIT;
        int r;

        r = config_parse("file", (const char *)data, n, &errors, &notices, &config);
        fuzz_check(r == (errors.n_entries > 0 ? CONFIG_E_INVALID : 0));
        fuzz_check(errors.n_entries <= 1);
        if (r)
                return 0;
        fuzz_check(!config.force_user ||
                   !(config.skip_service_descriptor || config.exit_on_service_eof || config.exit_on_client_eof));
        check_again(&config);
        return 0;
}
