/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward-one SERVICE - make the connection that is our standard input and output a call of SERVICE in the vault
 *
 * For socket units with Accept=yes (split-ssh specification, 2.2): finds out which domain has the keys, and becomes
 * qrexec-client-vm.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "ssh/places.h"

#define STATUS_FAILED    1
#define STATUS_NO_CLIENT 125

int main(int argc, char **argv) {
        VaultName vault = { "@default" };
        int r;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("forward-one", false);
        if (argc != 2 || service_name_check(argv[1], strcspn(argv[1], "+"))) {
                log_error("usage: forward-one SERVICE");
                return STATUS_FAILED;
        }
        r = places_vault(false, &vault);
        if (r && r != PLACES_E_NONE) {
                if (r != PLACES_E_INVALID)
                        log_error("%s", places_error_text(r));
                return STATUS_FAILED;
        }
        (void)execl(QAIR_CLIENT, "qrexec-client-vm", "--", vault.text, argv[1], NULL);
        log_error("cannot execute " QAIR_CLIENT ": %s", strerror(errno));
        return STATUS_NO_CLIENT;
}
