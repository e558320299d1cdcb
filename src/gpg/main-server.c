/* SPDX-License-Identifier: Apache-2.0 */
/* gpg-server GPG_PATH SOURCE: the backend's end of one call of qubes.Gpg, started by that service. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "gpg/server.h"

int main(int argc, char **argv) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
                if (fcntl(fd, F_GETFD) < 0)
                        return GPG_SERVER_FAILED;
        log_open("gpg-server", false);
        if (argc < 3) {
                (void)fputs("Usage: gpg-server GPG_PATH SOURCE\n", stderr);
                return GPG_SERVER_FAILED;
        }
        return gpg_server_run(argv[1], NULL, NULL);
}
