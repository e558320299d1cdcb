/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's end of a direct call, and the input as everything that its status stream ever says. What arrives at
 * stderr, filtered, and the result, are the oracle's; data that has no business there goes nowhere.
 */
#include "data-oracle.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "data/direct.h"
#include "data/filter.h"
#include "data/prepare.h"
#include "data/status.h"
#include "wire/header.h"

/** One read: after the exit code nobody listens any more, so what would come with a second read may go unseen. */
#define RECEIVE_MAX (WIRE_HEADER_SIZE + DATA_STATUS_CHUNK_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t got[ORACLE_INPUT_MAX];
        static Oracle oracle;
        DataDirect direct = DATA_DIRECT_INIT;
        int stream[2], err[2];
        int status = -1;
        int r;

        if (n > RECEIVE_MAX)
                return 0;
        log_set_max_level(0);
        fuzz_check(data_prepare() == 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, err) == 0);
        fuzz_check(fd_write_full(stream[0], data, n) == 0);
        fd_close(stream[0]);

        direct.status_fd = stream[1];
        direct.err_fd = err[1];
        direct.filter_stderr = true;
        r = data_direct_run(&direct, &status);
        fd_close(err[1]);

        oracle_run(&oracle, data, n);
        data_filter(oracle.err, oracle.n_err);
        fuzz_check(fd_read_full(err[0], got, oracle.n_err) == 0);
        fuzz_check(memcmp(got, oracle.err, oracle.n_err) == 0);
        fuzz_check(fd_read_full(err[0], got, 1) == FD_E_EOF);
        if (oracle.broken)
                fuzz_check(r == DATA_DIRECT_E_PROTOCOL);
        else
                fuzz_check(r == 0 && status == (oracle.has_status ? oracle.status : 255));
        fd_close(err[0]);
        return 0;
}
