/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "broker/askconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        AskConfig config;
        int r = ask_config_parse("ask.conf", (const char *)data, n, &diagnostics, &config);

        fuzz_check(r >= 0 && (r == ASK_CONFIG_E_INVALID) == (diagnostics.n_entries > 0));
        if (r)
                return 0;
        fuzz_check(config.timeout_sec >= 1 && config.timeout_sec <= ASK_TIMEOUT_SEC_MAX);
        fuzz_check(config.n_services <= ASK_SERVICES_MAX && config.quiet_for.n <= ASK_DURATIONS_MAX);
        for (size_t i = 0; i < config.n_services; ++i) {
                AskDurations durations = ask_config_allow_for(&config, config.services[i].name);

                fuzz_check(durations.n == config.services[i].allow_for.n);
                for (size_t j = 0; j < durations.n; ++j) {
                        fuzz_check(durations.sec[j] >= 1 && durations.sec[j] <= ANSWER_SEC_MAX);
                        fuzz_check(ask_durations_have(&durations, durations.sec[j]));
                }
        }
        ask_config_deinit(&config);
        return 0;
}
