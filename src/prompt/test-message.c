/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_decode(void **state) {
        static const struct {
                const char *line;
                int expect;
        } cases[] = {
                { "ask 1 {\"source\": \"desk\"}", 0 },
                { "ask 4294967295 x", 0 },
                { "ready 1 here", 0 },
                { "count 3 10", 0 },
                { "gone 3 answered: allow:vault", 0 },
                { "gone 3 ", 0 },
                { "answer 3 deny", 0 },
                { "", MESSAGE_E_MALFORMED },
                { "ask", MESSAGE_E_MALFORMED },
                { "ask 1", MESSAGE_E_MALFORMED },
                { "ask  1 x", MESSAGE_E_MALFORMED },
                { "ask 0 x", MESSAGE_E_MALFORMED },
                { "ask 4294967296 x", MESSAGE_E_MALFORMED },
                { "ask 01 x", MESSAGE_E_MALFORMED },
                { "ask x x", MESSAGE_E_MALFORMED },
                { "Ask 1 x", MESSAGE_E_MALFORMED },
                { "tell 1 x", MESSAGE_E_MALFORMED },
                { "count 3", MESSAGE_E_MALFORMED },
                { "count 3 0", MESSAGE_E_MALFORMED },
                { "count 3 10 ", MESSAGE_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *again = NULL;
                Message message;
                int r = message_decode(cases[i].line, &message);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d", cases[i].line, r);
                if (r)
                        continue;
                assert_int_equal(message_encode(&message, &again), 0);
                assert_string_equal(again, cases[i].line);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_decode) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
