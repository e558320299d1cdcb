/* SPDX-License-Identifier: Apache-2.0 */
#include "base/exchange.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OUT_MAX 1024

static void test_streams_and_status(void **state) {
        static const struct {
                const char *name, *script, *in, *out, *err;
                int r, status;
        } cases[] = {
                { "both streams", "cat; echo no >&2", "yes\n", "yes\n", "no\n", 0, 0 },
                { "nothing at all", ":", "", NULL, NULL, 0, 0 },
                { "a status", "exit 7", "", NULL, NULL, 0, 7 },
                { "killed", "kill -9 $$", "", NULL, NULL, 0, 255 },
                { "its input is not read", "exec <&-; exit 3", "ignored", NULL, NULL, 0, 3 },
                { "SIGPIPE ends it", "kill -PIPE $$; exit 4", "", NULL, NULL, 0, 255 },
                { "too much", "head -c 1025 /dev/zero | tr '\\0' x", "", NULL, NULL, EXCHANGE_E_TOO_MUCH, 0 },
        };

        (void)state;
        signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(exchange_deinit) Exchange exchange = {};
                int r = exchange_run((const char *const[]){ "/bin/sh", "-c", cases[i].script, NULL }, NULL, cases[i].in,
                                     strlen(cases[i].in), OUT_MAX, OUT_MAX, &exchange);

                if (r != cases[i].r || (r == 0 && exchange.status != cases[i].status))
                        fail_msg("%s: got %d and status %d", cases[i].name, r, exchange.status);
                if (r == 0 && (strcmp(exchange.out ?: "", cases[i].out ?: "") != 0 ||
                               strcmp(exchange.err ?: "", cases[i].err ?: "") != 0))
                        fail_msg("%s: wrote \"%s\" and \"%s\"", cases[i].name, exchange.out, exchange.err);
        }
}

static void test_no_program(void **state) {
        _cleanup_(exchange_deinit) Exchange exchange = {};

        (void)state;
        assert_int_equal(exchange_run((const char *const[]){ "/nowhere/program", NULL }, NULL, "", 0, OUT_MAX, OUT_MAX,
                                      &exchange),
                         EXCHANGE_E_START);
        assert_string_equal(exchange.err, "/nowhere/program: No such file or directory\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_streams_and_status),
                cmocka_unit_test(test_no_program),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
