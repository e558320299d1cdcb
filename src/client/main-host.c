/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-client: run a command in a domain, from dom0.
 */
#include <stdio.h>

#include "base/fd.h"
#include "base/log.h"
#include "client/host.h"

int main(int argc, char **argv) {
        HostOptions options;

        if (fd_ensure_standard() < 0)
                return HOST_STATUS_FAILED;
        log_open("qrexec-client", false);

        switch (host_options_parse(argc, argv, &options)) {
        case 0:
                return host_run(&options);
        case HOST_OPTIONS_E_HELP:
                (void)fputs(host_options_usage(), stdout);
                return fflush(stdout) == 0 ? 0 : HOST_STATUS_FAILED;
        case HOST_OPTIONS_E_USAGE:
                (void)fputs(host_options_usage(), stderr);
                return HOST_STATUS_USAGE;
        default:
                return HOST_STATUS_INVALID;
        }
}
