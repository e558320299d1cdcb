/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-gpg-client: GnuPG, with the keys of another domain. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "gpg/client.h"

int main(int argc, char **argv) {
        /* All three are streams of GnuPG's: a file of ours must not take the place of one (split-gpg specification, 4). */
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
                if (fcntl(fd, F_GETFD) < 0)
                        return GPG_CLIENT_FAILED;
        log_open("qubes-gpg-client", false);
        return gpg_client_run(argv + (argc > 0), argc > 0 ? argc - 1 : 0);
}
