/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void set(const char *name, const char *value) {
        if (value)
                (void)setenv(name, value, 1);
        else
                (void)unsetenv(name);
}

static void test_config(void **state) {
        char buffer[PATH_MAX], long_path[PATH_MAX];

        set("XDG_CONFIG_HOME", "/c");
        set("HOME", "/h");
        assert_string_equal(ssh_place_config(buffer), "/c/qubes/split-ssh");
        /* What is no absolute path is not set. */
        set("XDG_CONFIG_HOME", "c");
        assert_string_equal(ssh_place_config(buffer), "/h/.config/qubes/split-ssh");
        set("XDG_CONFIG_HOME", NULL);
        set("HOME", NULL);
        assert_null(ssh_place_config(buffer));
        memset(long_path, '/', sizeof(long_path) - 1);
        long_path[sizeof(long_path) - 1] = '\0';
        set("XDG_CONFIG_HOME", long_path);
        assert_null(ssh_place_config(buffer));
}

static void test_run(void **state) {
        char folder[] = "/tmp/test-ssh-place.XXXXXX", buffer[PATH_MAX], expect[PATH_MAX];
        struct stat st;

        set("XDG_RUNTIME_DIR", NULL);
        assert_string_equal(ssh_place_run(buffer), "/run/split-ssh");
        assert_non_null(mkdtemp(folder));
        set("XDG_RUNTIME_DIR", folder);
        (void)snprintf(expect, sizeof(expect), "%s/qubes/split-ssh", folder);
        /* On a machine that is one domain of this user it is the other one, and nothing is made. */
        if (strcmp(ssh_place_run(buffer), "/run/split-ssh") != 0) {
                assert_string_equal(buffer, expect);
                assert_int_equal(stat(expect, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0700);
                assert_int_equal(rmdir(expect), 0);
                *strrchr(expect, '/') = '\0';
                assert_int_equal(rmdir(expect), 0);
        }
        assert_int_equal(rmdir(folder), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
