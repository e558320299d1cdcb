/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test-folder.h"
#include "ssh/places.h"

static const AgentName work = { "work" };
static char home[] = "/tmp/test-places-XXXXXX";

static int set_up(void **state) {
        char path[PATH_MAX];

        assert_non_null(mkdtemp(home));
        (void)snprintf(path, sizeof(path), "%s/.config", home);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof(path), "%s/.config/qubes", home);
        assert_int_equal(mkdir(path, 0700), 0);
        return 0;
}

static int tear_down(void **state) {
        return folder_remove(home);
}

static void test_sockets(void **state) {
        char path[SOCKET_PATH_MAX], keys[PATH_MAX], expected[PATH_MAX];
        char too_long[200];
        struct stat st;

        assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
        assert_int_equal(places_agents(expected), 0);
        /* On a machine that is one domain of this user it is the machine's. */
        if (geteuid() == 0 || (lstat(PLACES_RUN_DIR, &st) == 0 && st.st_uid == geteuid()))
                assert_string_equal(expected, "/run/split-ssh");
        else
                assert_string_equal(expected, "/run/user/7/qubes/split-ssh");
        assert_int_equal(places_agent_socket(&work, path), 0);
        assert_int_equal(strncmp(path, expected, strlen(expected)), 0);
        assert_string_equal(path + strlen(expected), "/work.sock");
        assert_int_equal(places_forwarded(path), 0);
        assert_string_equal(path, "/run/user/7/ssh/S.ssh-agent");
        /* No absolute path is as good as none. */
        assert_int_equal(setenv("XDG_RUNTIME_DIR", "run/user/7", 1), 0);
        (void)snprintf(expected, sizeof(expected), "/run/user/%u/ssh/S.ssh-agent", geteuid());
        assert_int_equal(places_forwarded(path), 0);
        assert_string_equal(path, expected);
        assert_int_equal(places_forwarded_agent("/home/a", &work, path), 0);
        assert_string_equal(path, "/home/a/.split-ssh/work.sock");
        assert_int_equal(places_keys("/home/a", &work, keys), 0);
        assert_string_equal(keys, "/home/a/.ssh/identities.d/work");

        memset(too_long, 'x', sizeof(too_long) - 1);
        too_long[0] = '/';
        too_long[sizeof(too_long) - 1] = '\0';
        assert_int_equal(places_forwarded_agent(too_long, &work, path), PLACES_E_LENGTH);
        assert_int_equal(setenv("XDG_RUNTIME_DIR", too_long, 1), 0);
        assert_int_equal(places_forwarded(path), PLACES_E_LENGTH);
}

static void test_vault(void **state) {
        static const struct {
                const char *file, *variable;
                bool from_files;
                int expect;
                const char *vault;
        } cases[] = {
                { "", "", false, PLACES_E_NONE, NULL },
                { "vault", "other", false, 0, "vault" },
                { "vault\n", "other", false, 0, "vault" },
                { "vault\n\n", "other", false, 0, "vault" },
                { "\n", "other", false, 0, "other" },
                { "", "other", false, 0, "other" },
                { "", "@default", false, 0, "@default" },
                { "", "other", true, PLACES_E_NONE, NULL },
                { "vault", "", true, 0, "vault" },
                { "va ult\n", "other", false, PLACES_E_INVALID, NULL },
                { "vault\nother\n", "", false, PLACES_E_INVALID, NULL },
                { " vault\n", "", false, PLACES_E_INVALID, NULL },
                { "", "-x", false, PLACES_E_INVALID, NULL },
        };

        assert_int_equal(setenv("HOME", home, 1), 0);
        assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                VaultName name;
                int r;

                folder_write(home, ".config/qubes/" PLACES_VAULT_FILE, cases[i].file, 0600);
                assert_int_equal(setenv(PLACES_VAULT_VARIABLE, cases[i].variable, 1), 0);
                r = places_vault(cases[i].from_files, &name);
                if (r != cases[i].expect)
                        fail_msg("case %zu: got %d, want %d", i, r, cases[i].expect);
                if (r == 0)
                        assert_string_equal(name.text, cases[i].vault);
        }
        assert_int_equal(unsetenv(PLACES_VAULT_VARIABLE), 0);
}

static void test_words(void **state) {
        for (int r = PLACES_E_LENGTH; r <= PLACES_E_INVALID; ++r)
                assert_string_not_equal(places_error_text(r), places_error_text(0));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sockets),
                cmocka_unit_test(test_vault),
                cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
