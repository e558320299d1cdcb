/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library ROUNDS EACH SOCKET TARGET SERVICE - the same short exchange with a running server, plainly and as a call
 *
 * Plainly: connect to SOCKET, write a header, read the reply to its end, close. As a call: through libqair, with one client
 * for all, to SERVICE in TARGET, which is a link to that SOCKET. Each round times EACH of either.
 *
 * Prints a line of JSON: the median of a round's times in microseconds, for each round: {"plain": […], "call": […]}.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "libqair/qair.h"

#define LIBRARY_ROUNDS_MAX 1000
#define LIBRARY_EACH_MAX   10000

static const char header[] = "test.Echo work";

static double now_usec(void) {
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *times, size_t n) {
        qsort(times, n, sizeof(*times), compare);
        return times[n / 2];
}

/* Return: how many bytes came before the end, or -1 */
static ssize_t read_to_end(int fd) {
        char buffer[4096];
        ssize_t n, n_all = 0;

        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                n_all += n;
        return n < 0 ? -1 : n_all;
}

static bool exchange_plainly(const char *path) {
        int fd;
        bool good;

        if (socket_connect(path, SOCK_STREAM, &fd))
                return false;
        good = write(fd, header, sizeof(header)) == sizeof(header) && shutdown(fd, SHUT_WR) == 0 &&
               read_to_end(fd) == sizeof(header);
        fd_close(fd);
        return good;
}

static bool exchange_as_call(qair_client *client, const char *target, const char *service) {
        qair_call *call = NULL;
        int status = -1;
        bool good;

        good = qair_call_new(client, target, service, &call) == 0 && qair_call_open(call) == 0;
        if (good) {
                qair_call_close_stdin(call);
                /* What the agent says to every service that is a socket: its name, and who calls. */
                good = read_to_end(qair_call_stdout(call)) > 0 && qair_call_wait(call, &status) == 0 && status == 0;
        }
        qair_call_free(call);
        return good;
}

int main(int argc, char **argv) {
        static double plain[LIBRARY_ROUNDS_MAX], called[LIBRARY_ROUNDS_MAX], times[LIBRARY_EACH_MAX];
        size_t n_rounds = argc == 6 ? strtoul(argv[1], NULL, 10) : 0,
               n_each = n_rounds ? strtoul(argv[2], NULL, 10) : 0;
        qair_client *client = NULL;

        if (n_rounds == 0 || n_rounds > LIBRARY_ROUNDS_MAX || n_each == 0 || n_each > LIBRARY_EACH_MAX ||
            qair_client_new(NULL, 0, &client)) {
                (void)fprintf(stderr, "usage: library ROUNDS EACH SOCKET TARGET SERVICE\n");
                return 2;
        }
        for (size_t round = 0; round < n_rounds; ++round)
                for (int kind = 0; kind < 2; ++kind) {
                        for (size_t i = 0; i < n_each; ++i) {
                                double begin = now_usec();

                                if (!(kind == 0 ? exchange_plainly(argv[3])
                                                : exchange_as_call(client, argv[4], argv[5]))) {
                                        perror(kind == 0 ? "library: plain exchange" : "library: call");
                                        return 1;
                                }
                                times[i] = now_usec() - begin;
                        }
                        (kind == 0 ? plain : called)[round] = median(times, n_each);
                }
        qair_client_free(client);

        for (int kind = 0; kind < 2; ++kind) {
                (void)printf(kind == 0 ? "{\"plain\": [" : "], \"call\": [");
                for (size_t i = 0; i < n_rounds; ++i)
                        (void)printf("%s%.1f", i ? ", " : "", (kind == 0 ? plain : called)[i]);
        }
        (void)printf("]}\n");
        return fflush(stdout) == 0 ? 0 : 1;
}
