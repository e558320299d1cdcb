/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eof [DESCRIPTOR] - read standard input, or DESCRIPTOR, until it ends
 *
 * Linked statically, so that thousands of it may wait: the service of a call that stays open. Also the local end of
 * an s6-ipcclient(1), which has the connection as descriptor 6.
 */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
        static char buffer[4096];
        int fd = argc > 1 ? atoi(argv[1]) : STDIN_FILENO;
        ssize_t n;

        do
                n = read(fd, buffer, sizeof(buffer));
        while (n > 0);
        return n == 0 ? 0 : 1;
}
