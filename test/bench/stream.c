/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream write BYTES - write that much to standard output
 * stream read BYTES  - read standard input to its end; the status is 0 only if it was that much
 *
 * Both in blocks of 64 KiB. The reader says on standard error how large the pipe is that it read from, at the end
 * (`pipe 65536`; 0: no pipe).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 65536

static char block[BLOCK];

static int stream_write(unsigned long long n) {
        memset(block, 'q', sizeof(block));
        while (n > 0) {
                ssize_t written = write(STDOUT_FILENO, block, n < BLOCK ? (size_t)n : BLOCK);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0) {
                        perror("stream: write");
                        return 1;
                }
                n -= (unsigned long long)written;
        }
        return 0;
}

static int stream_read(unsigned long long n) {
        unsigned long long n_read = 0;
        ssize_t l;
        int size;

        for (;;) {
                l = read(STDIN_FILENO, block, BLOCK);
                if (l < 0 && errno == EINTR)
                        continue;
                if (l <= 0)
                        break;
                n_read += (unsigned long long)l;
        }
        size = fcntl(STDIN_FILENO, F_GETPIPE_SZ);
        (void)fprintf(stderr, "pipe %d\n", size < 0 ? 0 : size);
        if (l < 0 || n_read != n) {
                (void)fprintf(stderr, "stream: read %llu of %llu bytes\n", n_read, n);
                return 1;
        }
        return 0;
}

int main(int argc, char **argv) {
        unsigned long long n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

        if (n > 0 && strcmp(argv[1], "write") == 0)
                return stream_write(n);
        if (n > 0 && strcmp(argv[1], "read") == 0)
                return stream_read(n);
        (void)fprintf(stderr, "usage: stream write|read BYTES\n");
        return 2;
}
