/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/brokercall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "wire/exec.h"
#include "wire/header.h"

#define ANSWER_SIZE (WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE)

static void test_receive(void **state) {
        static const struct {
                const char *name;
                uint32_t type, length, mode;
                size_t n, n_fds, n_first; /* n_first: sent on their own, with the descriptors */
                bool expect;
        } cases[] = {
                { "the answer", WIRE_TYPE_SERVICE_CONNECT, 8, WIRE_DOMAIN_FRAMED, 16, 1, 16, true },
                { "in pieces", WIRE_TYPE_SERVICE_CONNECT, 8, WIRE_DOMAIN_FRAMED, 16, 1, 3, true },
                { "it broke off", WIRE_TYPE_SERVICE_CONNECT, 8, WIRE_DOMAIN_FRAMED, 15, 1, 15, false },
                { "nothing", WIRE_TYPE_SERVICE_CONNECT, 8, WIRE_DOMAIN_FRAMED, 0, 0, 0, false },
                { "no descriptor", WIRE_TYPE_SERVICE_CONNECT, 8, WIRE_DOMAIN_FRAMED, 16, 0, 16, false },
                { "two descriptors", WIRE_TYPE_SERVICE_CONNECT, 8, WIRE_DOMAIN_FRAMED, 16, 2, 16, false },
                { "another mode", WIRE_TYPE_SERVICE_CONNECT, 8, WIRE_DOMAIN_DIRECT, 16, 3, 16, false },
                { "to be dialled", WIRE_TYPE_SERVICE_CONNECT, 8, 42, 16, 0, 16, false },
                { "another type", WIRE_TYPE_EXEC_CMDLINE, 8, WIRE_DOMAIN_FRAMED, 16, 1, 16, false },
                { "another length", WIRE_TYPE_SERVICE_CONNECT, 9, WIRE_DOMAIN_FRAMED, 16, 1, 16, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_fd_ int fd = -1, ours = -1, theirs = -1;
                const int null_fds[] = { STDIN_FILENO, STDIN_FILENO, STDIN_FILENO };
                size_t n_first = cases[i].n_first;
                uint8_t data[ANSWER_SIZE];
                int pair[2], r;

                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                ours = pair[0];
                theirs = pair[1];
                wire_header_encode((WireHeader){ cases[i].type, cases[i].length }, data);
                exec_params_encode(&(ExecParams){ cases[i].mode, 513 }, data + WIRE_HEADER_SIZE);
                if (n_first > 0)
                        assert_int_equal(socket_send(theirs, data, n_first, null_fds, cases[i].n_fds, NULL), 0);
                assert_int_equal(fd_write_full(theirs, data + n_first, cases[i].n - n_first), 0);
                theirs = fd_close(theirs);

                r = broker_call_receive(ours, &fd);
                if (r != (cases[i].expect ? 0 : BROKER_CALL_E_FAILED) || (fd >= 0) != cases[i].expect)
                        fail_msg("%s: got %d", cases[i].name, r);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_receive),
        };

        log_set_max_level(0);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
