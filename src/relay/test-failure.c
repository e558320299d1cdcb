/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "relay/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void test_find(void **state) {
        static const struct {
                const char *text;
                RelayFailure failure;
        } cases[] = {
                { "ssh: Could not resolve hostname nowhere: Name or service not known\r\n", RELAY_FAILURE_NAME },
                { "ssh: connect to host b port 22: Connection refused\r\n", RELAY_FAILURE_CONNECT },
                { "ssh: connect to host b port 22: Connection timed out\r\n", RELAY_FAILURE_CONNECT },
                { "ssh: connect to host b port 22: No route to host\r\n", RELAY_FAILURE_CONNECT },
                { "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port "
                  "22",
                  RELAY_FAILURE_CONNECT },
                { "No ED25519 host key is known for b and you have requested strict checking.\r\nHost key verification "
                  "failed.\r\n",
                  RELAY_FAILURE_HOST_KEY },
                { "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n", RELAY_FAILURE_HOST_KEY },
                { "a-relay@b: Permission denied (publickey).\r\n", RELAY_FAILURE_KEY },
                { "something else", RELAY_FAILURE_OTHER },
                { "", RELAY_FAILURE_OTHER },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                if (relay_failure_find(cases[i].text) != cases[i].failure)
                        fail_msg("%s: got %d", cases[i].text, relay_failure_find(cases[i].text));
                assert_true(relay_failure_text(cases[i].failure)[0] != '\0');
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_find) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
