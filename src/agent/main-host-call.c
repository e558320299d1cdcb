/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-host-call: run one service of the host for a caller in a domain. qrexec-daemon(8) starts it when the policy has
 * allowed a call; it is no command for people.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/hostcall.h"
#include "agent/lookup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"

enum {
        STATUS_DONE = 0,
        STATUS_USAGE = 2,
        STATUS_FAILED = 125,
};

static const char *environment_or(const char *variable, const char *otherwise) {
        const char *value = getenv(variable);

        return value && *value ? value : otherwise;
}

int main(int argc, char **argv) {
        ServiceSettings settings = { .environment = environ };
        uint64_t source, port;
        VchanPlace place;
        sigset_t signals;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("qrexec-host-call", false);
        if (argc != 4 || number_parse(argv[1], strlen(argv[1]), 1, INT_MAX, &source) ||
            number_parse(argv[2], strlen(argv[2]), 1, INT_MAX, &port)) {
                (void)fprintf(stderr, "Usage: qrexec-host-call DOMAIN-ID PORT COMMAND\n"
                                      "Run a service of the host for a domain that listens at PORT (for "
                                      "qrexec-daemon(8)).\n");
                return STATUS_USAGE;
        }
        if (vchan_place_init(getenv("VCHAN_SOCKET_DIR"), getenv("VCHAN_DOMAIN"), &place)) {
                log_error("VCHAN_DOMAIN is no domain's id: a decimal number is wanted");
                return STATUS_FAILED;
        }
        settings.service_path = environment_or("QREXEC_SERVICE_PATH", LOOKUP_SERVICE_PATH);
        settings.config_path = environment_or("QUBES_RPC_CONFIG_PATH", LOOKUP_CONFIG_PATH);
        spawn_find_signals(&signals);
        sigaddset(&signals, SIGPIPE);
        settings.signals = &signals;
        return host_call_run(&settings, &place, (uint32_t)source, (uint32_t)port, argv[3]) ? STATUS_FAILED
                                                                                           : STATUS_DONE;
}
