/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-client-vm: call a service from inside a domain.
 */
#include <stdio.h>

#include "base/fd.h"
#include "base/log.h"
#include "client/vm.h"

int main(int argc, char **argv) {
        VmOptions options;

        if (fd_ensure_standard() < 0)
                return VM_STATUS_FAILED;
        log_open("qrexec-client-vm", false);

        switch (vm_options_parse(argc, argv, &options)) {
        case 0:
                return vm_run(&options);
        case VM_OPTIONS_E_HELP:
                (void)fputs(vm_options_usage(), stdout);
                return fflush(stdout) == 0 ? 0 : VM_STATUS_FAILED;
        case VM_OPTIONS_E_USAGE:
                (void)fputs(vm_options_usage(), stderr);
                return VM_STATUS_USAGE;
        default:
                return VM_STATUS_FAILED;
        }
}
