/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/environment.h"

static const Sandbox sandbox = {
        .domain = "vault",
        .folder = "/run/qubes/domains/vault",
        .service_path =
                "/run/qubes-rpc:/etc/qubes/domains.d/vault.rpc:/usr/local/etc/qubes-rpc:relative:/etc/qubes-rpc",
        .config_path = "/usr/local/etc/qubes/rpc-config:/etc/qubes/rpc-config",
        .account = "vault",
        .uid = 30001,
        .gid = 30002,
        .home = "/home/vault",
        .home_inside = "/home/vault",
};

static size_t find(char *const *argv, const char *text) {
        size_t i = 0;

        while (argv[i] && strcmp(argv[i], text) != 0)
                ++i;
        return i;
}

/* Is @what with these two operands there? */
static bool has(char *const *argv, const char *what, const char *from, const char *to) {
        for (size_t i = 0; argv[i]; ++i)
                if (strcmp(argv[i], what) == 0 && argv[i + 1] && argv[i + 2] && strcmp(argv[i + 1], from) == 0 &&
                    strcmp(argv[i + 2], to) == 0)
                        return true;
        return false;
}

static void test_command(void **state) {
        char *command[] = { (char *)"/usr/lib/qubes/qrexec-agent", (char *)"--link=/run/qubes/link", NULL };
        char **argv = NULL, text[256];
        size_t end, n_writable = 0;
        bool knows_itself = false;
        ssize_t n;

        if (access(SANDBOX_PROGRAM, X_OK) < 0)
                skip();
        assert_int_equal(sandbox_wrap(&sandbox, command, &argv), 0);
        assert_string_equal(argv[0], SANDBOX_PROGRAM);
        end = find(argv, "--");
        assert_string_equal(argv[end + 1], command[0]);
        assert_string_equal(argv[end + 2], command[1]);
        assert_null(argv[end + 3]);
        assert_true(find(argv, "--unshare-all") < end && find(argv, "--new-session") < end &&
                    find(argv, "--die-with-parent") < end);
        assert_true(has(argv, "--ro-bind", "/usr", "/usr"));
        assert_true(has(argv, "--ro-bind", "/run/qubes/domains/vault", "/run/qubes"));
        assert_true(has(argv, "--bind", "/home/vault", "/home/vault"));
        /* The folders of services, but for those that are in /usr, and for what is no path. */
        assert_true(has(argv, "--ro-bind-try", "/run/qubes-rpc", "/run/qubes-rpc"));
        assert_true(has(argv, "--ro-bind-try", "/etc/qubes/domains.d/vault.rpc", "/etc/qubes/domains.d/vault.rpc"));
        assert_true(has(argv, "--ro-bind-try", "/etc/qubes-rpc", "/etc/qubes-rpc"));
        assert_true(has(argv, "--ro-bind-try", "/etc/qubes/rpc-config", "/etc/qubes/rpc-config"));
        assert_null(argv[find(argv, "relative")]);
        /* Of the host, the home alone can be written; nothing is shared with its namespaces. */
        for (size_t i = 0; i < end; ++i) {
                n_writable += strcmp(argv[i], "--bind") == 0;
                assert_null(strstr(argv[i], "--share"));
                assert_true(strcmp(argv[i], "--dev-bind") != 0 && strcmp(argv[i], "--bind-try") != 0);
        }
        assert_int_equal(n_writable, 1);
        /* Its account is the only one that it knows. */
        for (size_t i = 0; i < end; ++i) {
                if (strcmp(argv[i], "--ro-bind-data") != 0 || strcmp(argv[i + 2], "/etc/passwd") != 0)
                        continue;
                n = read(atoi(argv[i + 1]), text, sizeof(text) - 1);
                assert_true(n > 0);
                text[n] = '\0';
                assert_string_equal(text, "vault:x:30001:30002::/home/vault:/bin/sh\n"
                                          "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
                knows_itself = true;
        }
        assert_true(knows_itself);
        environment_free(argv); /* the same kind of array */
}

static void test_environment(void **state) {
        char *outside[] = { (char *)"LANG=C.UTF-8", (char *)"SSH_AUTH_SOCK=/tmp/agent", (char *)"HOME=/root",
                            (char *)"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/bus", NULL };
        char **inside = NULL;

        assert_int_equal(sandbox_environment(&sandbox, outside, &inside), 0);
        assert_string_equal(environment_get(inside, "LANG"), "C.UTF-8");
        assert_string_equal(environment_get(inside, "HOME"), "/home/vault");
        assert_string_equal(environment_get(inside, "USER"), "vault");
        assert_string_equal(environment_get(inside, "XDG_RUNTIME_DIR"), "/run/user/30001");
        assert_string_equal(environment_get(inside, "QREXEC_SERVICE_PATH"), sandbox.service_path);
        assert_null(environment_get(inside, "SSH_AUTH_SOCK"));
        assert_null(environment_get(inside, "DBUS_SESSION_BUS_ADDRESS"));
        environment_free(inside);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_command),
                cmocka_unit_test(test_environment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
