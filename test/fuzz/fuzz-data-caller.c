/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole caller without input of its own, and the input as everything its callee ever says. What arrives at stdout
 * and stderr, filtered, and the result, are the oracle's.
 */
#include "data-oracle.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "data/caller.h"
#include "data/filter.h"
#include "data/prepare.h"

static void check_received(int fd, uint8_t *expected, size_t n) {
        static uint8_t got[ORACLE_INPUT_MAX];

        data_filter(expected, n);
        fuzz_check(fd_read_full(fd, got, n) == 0);
        fuzz_check(memcmp(got, expected, n) == 0);
        fuzz_check(fd_read_full(fd, got, 1) == FD_E_EOF);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static Oracle oracle;
        DataCaller caller = DATA_CALLER_INIT;
        int stream[2], out[2], err[2];
        int status = -1;
        int r;

        if (n > ORACLE_INPUT_MAX)
                return 0;
        log_set_max_level(0);
        fuzz_check(data_prepare() == 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) == 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, err) == 0);
        fuzz_check(fd_write_full(stream[0], data, n) == 0);
        fuzz_check(shutdown(stream[0], SHUT_WR) == 0);

        caller.stream_fd = stream[1];
        caller.out_fd = out[1];
        caller.err_fd = err[1];
        caller.filter_stdout = true;
        caller.filter_stderr = DATA_FILTER_ON;
        r = data_caller_run(&caller, &status);
        fd_close(err[1]);

        oracle_run(&oracle, data, n);
        check_received(out[0], oracle.out, oracle.n_out);
        check_received(err[0], oracle.err, oracle.n_err);
        if (!oracle.hello)
                fuzz_check(r == DATA_CALLER_E_HANDSHAKE);
        else if (oracle.broken)
                fuzz_check(r == DATA_CALLER_E_PROTOCOL);
        else
                fuzz_check(r == 0 && status == (oracle.has_status ? oracle.status : 255));
        fd_close(stream[0]);
        fd_close(out[0]);
        fd_close(err[0]);
        return 0;
}
