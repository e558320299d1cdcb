/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static void test_host(void **state) {
        Paths paths;

        paths_host(&paths);
        assert_false(paths.is_user);
        assert_string_equal(paths.run_dir, "/run/qubes");
        assert_string_equal(paths.admin_socket, "/run/qubes/dom0/qrexec-agent");
        assert_string_equal(paths.domains_dir, QAIR_CONFDIR "/domains.d");
        assert_string_equal(paths.policy_run_dir, "/run/qubes/policy.d");
        assert_string_equal(paths.homes_dir, "");
}

static void set(const char *name, const char *value) {
        assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void test_user(void **state) {
        static const char long_path[] = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        static const struct {
                const char *name, *runtime, *home, *config, *state, *data;
                int r;
                const char *run_dir, *policy_dir, *audit_dir, *homes_dir;
        } cases[] = {
                { "as usual", "/run/user/1000", "/home/u", NULL, NULL, NULL, 0, "/run/user/1000/qubes",
                  "/home/u/.config/qubes/policy.d", "/home/u/.local/state/qubes", "/home/u/.local/share/qubes/homes" },
                { "all set", "/r", "/home/u", "/c", "/s", "/d", 0, "/r/qubes", "/c/qubes/policy.d", "/s/qubes",
                  "/d/qubes/homes" },
                { "no home, and none needed", "/r", NULL, "/c", "/s", "/d", 0, "/r/qubes", "/c/qubes/policy.d",
                  "/s/qubes", "/d/qubes/homes" },
                { "a relative one counts as none", "/r", "/h", "c", "s", "", 0, "/r/qubes", "/h/.config/qubes/policy.d",
                  "/h/.local/state/qubes", "/h/.local/share/qubes/homes" },
                { "no run directory", NULL, "/home/u", .r = PATHS_E_RUNTIME },
                { "a relative run directory", "run", "/home/u", .r = PATHS_E_RUNTIME },
                { "no home", "/r", NULL, "/c", NULL, "/d", .r = PATHS_E_HOME },
                { "a relative home", "/r", "home", .r = PATHS_E_HOME },
                { "too long for a socket", long_path, "/home/u", .r = PATHS_E_LONG },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Paths paths = { .run_dir = "untouched" };
                int r;

                set("XDG_RUNTIME_DIR", cases[i].runtime);
                set("HOME", cases[i].home);
                set("XDG_CONFIG_HOME", cases[i].config);
                set("XDG_STATE_HOME", cases[i].state);
                set("XDG_DATA_HOME", cases[i].data);
                r = paths_user(&paths);
                if (r != cases[i].r)
                        fail_msg("%s: got %d", cases[i].name, r);
                if (r) {
                        assert_string_equal(paths.run_dir, "untouched");
                        assert_string_not_equal(paths_error_text(r), paths_error_text(0));
                        continue;
                }
                if (!paths.is_user || strcmp(paths.run_dir, cases[i].run_dir) != 0 ||
                    strcmp(paths.policy_dir, cases[i].policy_dir) != 0 ||
                    strcmp(paths.audit_dir, cases[i].audit_dir) != 0 ||
                    strcmp(paths.homes_dir, cases[i].homes_dir) != 0)
                        fail_msg("%s: %s %s %s %s", cases[i].name, paths.run_dir, paths.policy_dir, paths.audit_dir,
                                 paths.homes_dir);
        }
}

static void test_config(void **state) {
        char path[PATH_MAX], long_path[PATH_MAX - 4];

        set("XDG_CONFIG_HOME", "/c");
        set("HOME", "/h");
        assert_int_equal(paths_config("a/b", path), 0);
        assert_string_equal(path, "/c/a/b");
        /* What is no absolute path is not set. */
        set("XDG_CONFIG_HOME", "c");
        assert_int_equal(paths_config("a/b", path), 0);
        assert_string_equal(path, "/h/.config/a/b");
        set("HOME", "h");
        assert_int_equal(paths_config("a/b", path), PATHS_E_HOME);
        memset(long_path, '/', sizeof(long_path) - 1);
        long_path[sizeof(long_path) - 1] = '\0';
        set("XDG_CONFIG_HOME", long_path);
        assert_int_equal(paths_config("abc", path), 0);
        assert_int_equal(paths_config("abcd", path), PATHS_E_LONG);
}

static void test_session(void **state) {
        uid_t uid = geteuid();
        char path[32], expected[32];

        set("XDG_RUNTIME_DIR", "/r");
        assert_int_equal(paths_session(uid, "a/b", path, sizeof(path)), 0);
        assert_string_equal(path, "/r/a/b");
        assert_int_equal(paths_session(uid, "a/b", path, sizeof("/r/a/b")), 0);
        assert_int_equal(paths_session(uid, "a/b", path, sizeof("/r/a/b") - 1), PATHS_E_LONG);
        /* Our environment says nothing about another account. */
        (void)snprintf(expected, sizeof(expected), "/run/user/%u/a/b", uid + 1);
        assert_int_equal(paths_session(uid + 1, "a/b", path, sizeof(path)), 0);
        assert_string_equal(path, expected);
        set("XDG_RUNTIME_DIR", "r");
        (void)snprintf(expected, sizeof(expected), "/run/user/%u/a/b", uid);
        assert_int_equal(paths_session(uid, "a/b", path, sizeof(path)), 0);
        assert_string_equal(path, expected);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_host),
                cmocka_unit_test(test_user),
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_session),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
