/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libqair, and the input as everything that it is ever told about one call: how many descriptors come with the answer, how
 * long the answer is, the answer, and the rest as the status stream. Waiting for all of it at once, and dispatching it byte by
 * byte as an event loop might have to, come to the same, and leave no descriptor open.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "libqair/qair.h"

#define INPUT_MAX 4096

/* What came of it. */
typedef struct Outcome {
        int r, error, status;
        qair_state state;
        qair_reason reason;
        unsigned id;
        uint8_t said[INPUT_MAX];
        size_t n_said;
} Outcome;

static void on_stderr(void *userdata, const void *data, size_t n) {
        Outcome *outcome = userdata;

        fuzz_check(n <= INPUT_MAX - outcome->n_said);
        memcpy(outcome->said + outcome->n_said, data, n);
        outcome->n_said += n;
}

/* @call: dispatched after each byte; NULL: it all goes at once */
static void feed(int fd, const uint8_t *data, size_t n, const int *fds, size_t n_fds, qair_call *call) {
        if (n == 0)
                return;
        if (!call) {
                (void)socket_send(fd, data, n, fds, n_fds, NULL);
                return;
        }
        for (size_t i = 0; i < n; ++i) {
                (void)socket_send(fd, data + i, 1, fds, i == 0 ? n_fds : 0, NULL);
                (void)qair_call_dispatch(call);
        }
}

static void run(const char *path, int listen_fd, const uint8_t *data, size_t n, bool in_pieces, Outcome *outcome) {
        size_t n_fds = data[0] % 4, n_answer = data[1] < n - 2 ? data[1] : n - 2;
        int stream[2], in[2], out[2], fd, status = -1;
        uint8_t request[1024];
        qair_client *client;
        qair_call *call;

        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
        fuzz_check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        fuzz_check(qair_client_new(path, 0, &client) == 0);
        fuzz_check(qair_call_new(client, "vault", "my.Svc", &call) == 0);
        qair_call_on_stderr(call, on_stderr, outcome);
        fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        fuzz_check(fd >= 0 && read(fd, request, sizeof(request)) > 0);

        feed(fd, data + 2, n_answer, (int[]){ stream[1], in[1], out[0] }, n_fds, in_pieces ? call : NULL);
        fd_close(stream[1]);
        fd_close(fd);
        if (in_pieces)
                (void)qair_call_dispatch(call);
        feed(stream[0], data + 2 + n_answer, n - 2 - n_answer, NULL, 0, in_pieces ? call : NULL);
        fd_close(stream[0]);

        outcome->r = qair_call_wait(call, &status);
        outcome->state = qair_call_state(call);
        outcome->error = qair_call_error(call);
        outcome->reason = qair_call_reason(call);
        outcome->id = qair_call_id(call);
        outcome->status = qair_call_status(call);
        fuzz_check((outcome->r == 0) == (outcome->state == QAIR_STATE_ENDED));
        fuzz_check(outcome->status == (outcome->r == 0 ? status : -1) && outcome->status <= 255);
        fuzz_check(outcome->state != QAIR_STATE_ASKING);
        qair_call_free(call);
        qair_client_free(client);
        fd_close(in[0]);
        fd_close(in[1]);
        fd_close(out[0]);
        fd_close(out[1]);
}

static int lowest_free_fd(void) {
        int fd = dup(STDERR_FILENO);

        fd_close(fd);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static Outcome whole, pieces;
        char path[] = "/tmp/fuzz-libqair.XXXXXX/socket";
        struct sockaddr_un address;
        socklen_t n_address;
        int listen_fd, free_fd;

        if (n < 2 || n > INPUT_MAX)
                return 0;
        log_set_max_level(0);
        path[strlen(path) - strlen("/socket")] = '\0';
        fuzz_check(mkdtemp(path));
        path[strlen(path)] = '/';
        fuzz_check(socket_address(path, &address, &n_address) == 0);
        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        fuzz_check(listen_fd >= 0 && bind(listen_fd, (struct sockaddr *)&address, n_address) == 0 &&
                   listen(listen_fd, 1) == 0);
        free_fd = lowest_free_fd();

        whole = pieces = (Outcome){};
        run(path, listen_fd, data, n, false, &whole);
        run(path, listen_fd, data, n, true, &pieces);
        fuzz_check(whole.r == pieces.r && whole.state == pieces.state && whole.error == pieces.error);
        fuzz_check(whole.reason == pieces.reason && whole.id == pieces.id && whole.status == pieces.status);
        fuzz_check(whole.n_said == pieces.n_said && memcmp(whole.said, pieces.said, whole.n_said) == 0);

        fuzz_check(lowest_free_fd() == free_fd);
        fd_close(listen_fd);
        fuzz_check(unlink(path) == 0);
        path[strlen(path) - strlen("/socket")] = '\0';
        fuzz_check(rmdir(path) == 0);
        return 0;
}
