/* SPDX-License-Identifier: Apache-2.0 */
/* gpg-server GPG_PATH SOURCE: the backend's end of one call of qubes.Gpg, started by that service. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "gpg/grant.h"
#include "gpg/server.h"
#include "gpg/service.h"

static void on_request(const GpgCommand *command, void *userdata) {
        gpg_service_on_use("qubes.Gpg", userdata, command->operation, command->key);
}

int main(int argc, char **argv) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
                if (fcntl(fd, F_GETFD) < 0)
                        return GPG_SERVER_FAILED;
        log_open("gpg-server", false);
        if (argc < 3) {
                (void)fputs("Usage: gpg-server GPG_PATH SOURCE\n", stderr);
                return GPG_SERVER_FAILED;
        }
        return gpg_server_run(argv[1], gpg_source_is_valid(argv[2]) ? on_request : NULL, argv[2]);
}
