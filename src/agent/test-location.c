/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/location.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void test_fork_server(void **state) {
        static const struct {
                const char *name, *runtime, *pattern, *account, *expect;
        } cases[] = {
                { "the account's own place", "/run/user/7", NULL, "me", "/run/user/7/qubes/qrexec-server.me.sock" },
                { "upstream's", NULL, NULL, "me", "/run/qubes/qrexec-server.me.sock" },
                { "an empty variable", "", NULL, "me", "/run/qubes/qrexec-server.me.sock" },
                { "a percent sign in the variable", "/a%sb", NULL, "me", "/a%sb/qubes/qrexec-server.me.sock" },
                { "a pattern", "/run/user/7", "/x/%s/y", "me", "/x/me/y" },
                { "the first of two", NULL, "/%s/%s", "me", "/me/%s" },
                { "other directives are text", NULL, "/%d%n%", "me", "/%d%n%" },
                { "a fixed path", NULL, "/x", "me", "/x" },
                { "no account", NULL, "/%s", "", NULL },
                { "an account that is a path", NULL, "/%s", "../me", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *path = NULL;

                if (cases[i].runtime)
                        assert_int_equal(setenv("XDG_RUNTIME_DIR", cases[i].runtime, 1), 0);
                else
                        assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
                path = location_fork_server(cases[i].pattern, cases[i].account);
                if (!path != !cases[i].expect || (path && strcmp(path, cases[i].expect) != 0))
                        fail_msg("%s: got %s, want %s", cases[i].name, path ?: "none", cases[i].expect ?: "none");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_fork_server) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
