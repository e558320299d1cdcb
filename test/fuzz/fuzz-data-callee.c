/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole callee with a socket service, and the input as everything its caller ever says. The service gets what the
 * oracle says, no byte more or less, and the outcome is the oracle's.
 */
#include "data-oracle.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "data/callee.h"
#include "data/prepare.h"

static const uint8_t answer_all[] = {
        0x00, 0x03, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, /* HELLO 4 */
        0x92, 0x01, 0, 0, 0, 0, 0, 0,             /* a socket service has no stderr */
        0x91, 0x01, 0, 0, 0, 0, 0, 0,             /* its stdout ends with the caller's data, by option */
        0x93, 0x01, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, /* exit code */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t got[ORACLE_INPUT_MAX];
        static Oracle oracle;
        DataCallee callee = DATA_CALLEE_INIT;
        DataOutcome outcome;
        size_t n_answer = 0;
        int stream[2], service[2];

        if (n > ORACLE_INPUT_MAX)
                return 0;
        log_set_max_level(0);
        fuzz_check(data_prepare() == 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, service) == 0);
        fuzz_check(fd_write_full(stream[0], data, n) == 0);
        fuzz_check(shutdown(stream[0], SHUT_WR) == 0);

        callee.stream_fd = stream[1];
        callee.in_fd = callee.out_fd = service[1];
        callee.exit_on_client_eof = true;
        fuzz_check(data_callee_run(&callee, &outcome) == 0);

        oracle_run(&oracle, data, n);
        fuzz_check(fd_read_full(service[0], got, oracle.n_out) == 0);
        fuzz_check(memcmp(got, oracle.out, oracle.n_out) == 0);
        fuzz_check(fd_read_full(service[0], got, 1) == FD_E_EOF);
        fuzz_check(outcome.status == 0);
        fuzz_check(outcome.how == (oracle.ended && !oracle.broken ? CALL_HOW_EXITED : CALL_HOW_ABANDONED));

        /* Whatever it was told, it says a beginning of this, and all of it if the call came to its end. */
        for (;;) {
                ssize_t n_got = recv(stream[0], got + n_answer, sizeof(got) - n_answer, 0);

                if (n_got <= 0)
                        break;
                n_answer += (size_t)n_got;
        }
        fuzz_check(n_answer <= sizeof(answer_all) && memcmp(got, answer_all, n_answer) == 0);
        fuzz_check(outcome.how != CALL_HOW_EXITED || n_answer == sizeof(answer_all));
        fd_close(stream[0]);
        fd_close(service[0]);
        return 0;
}
