/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What test_libqair.py runs: calls that overlap, in one event loop, and others that are cancelled; then, after a line on
 * standard input, the same with the same client. Each writes a text of its own to my.Echo and must get it back.
 *
 * Prints `first` and `all`. The status is the number of the line that found something wrong.
 */
#include <poll.h>
#include <qair.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_CALLS 8

#define CHECK(_condition)                                                        \
        do {                                                                     \
                if (!(_condition)) {                                             \
                        fprintf(stderr, "line %d: %s\n", __LINE__, #_condition); \
                        exit(1);                                                 \
                }                                                                \
        } while (0)

/* Answered: write, and be done with writing. The text is far smaller than a pipe. */
static void feed(qair_call *call, int number) {
        char text[32];
        int n = snprintf(text, sizeof(text), "text of call %d", number);

        CHECK(write(qair_call_stdin(call), text, (size_t)n) == n);
        qair_call_close_stdin(call);
}

static void finish(qair_call *call, int number) {
        char text[32], got[64] = "";

        snprintf(text, sizeof(text), "text of call %d", number);
        CHECK(qair_call_status(call) == 0);
        CHECK(read(qair_call_stdout(call), got, sizeof(got) - 1) == (ssize_t)strlen(text));
        CHECK(strcmp(got, text) == 0);
}

static void run(qair_client *client) {
        struct pollfd fds[N_CALLS];
        qair_call *calls[N_CALLS];
        int n_left = 0;

        for (int i = 0; i < N_CALLS; ++i) {
                CHECK(qair_call_new(client, "vault", "my.Echo", &calls[i]) == 0);
                /* Every fourth is cancelled: half of them before the answer, half after. */
                if (i % 4 == 3) {
                        CHECK(i % 8 == 3 || qair_call_open(calls[i]) == 0);
                        qair_call_free(calls[i]);
                        calls[i] = NULL;
                } else {
                        ++n_left;
                }
        }
        while (n_left > 0) {
                for (int i = 0; i < N_CALLS; ++i)
                        fds[i] = (struct pollfd){ .fd = calls[i] ? qair_call_fd(calls[i]) : -1, .events = POLLIN };
                CHECK(poll(fds, N_CALLS, 20000) > 0);
                for (int i = 0; i < N_CALLS; ++i) {
                        qair_state before;

                        if (!fds[i].revents)
                                continue;
                        before = qair_call_state(calls[i]);
                        CHECK(qair_call_dispatch(calls[i]) == 0);
                        if (before == QAIR_STATE_ASKING && qair_call_state(calls[i]) == QAIR_STATE_RUNNING)
                                feed(calls[i], i);
                        if (qair_call_state(calls[i]) == QAIR_STATE_ENDED) {
                                finish(calls[i], i);
                                qair_call_free(calls[i]);
                                calls[i] = NULL;
                                --n_left;
                        }
                }
        }
}

int main(void) {
        qair_client *client = NULL;
        char line[16];

        CHECK(qair_client_new(NULL, 0, &client) == 0);
        run(client);
        puts("first");
        fflush(stdout);
        CHECK(fgets(line, sizeof(line), stdin));
        run(client);
        qair_client_free(client);
        /* Descriptors are given out from the lowest: none of ours was left open. */
        CHECK(dup(0) == 3);
        puts("all");
        return 0;
}
