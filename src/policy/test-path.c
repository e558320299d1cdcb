/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/test-folder.h"
#include "policy/path.h"

static char root[PATH_MAX];

static const char *in_root(const char *name) {
        static char paths[4][PATH_MAX + 64];
        static unsigned next;
        char *path = paths[next++ % ARRAY_SIZE(paths)];

        snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
        return path;
}

static int setup(void **state) {
        char template[] = "/tmp/test-policy-path.XXXXXX";

        assert_non_null(mkdtemp(template));
        assert_non_null(realpath(template, root));
        assert_int_equal(mkdir(in_root("d"), 0755), 0);
        assert_int_equal(mkdir(in_root("d/e"), 0755), 0);
        folder_write(root, "d/f", "", 0644);
        folder_write(root, "d/.hidden", "", 0644);
        folder_write(root, "d/b", "", 0644);
        assert_int_equal(symlink("f", in_root("d/link")), 0);
        assert_int_equal(symlink("../d", in_root("d/up")), 0);
        assert_int_equal(symlink(in_root("d/f"), in_root("absolute")), 0);
        assert_int_equal(symlink("nowhere", in_root("d/broken")), 0);
        assert_int_equal(symlink("loop", in_root("loop")), 0);
        return 0;
}

static int teardown(void **state) {
        return folder_remove(root);
}

static void test_resolve(void **state) {
        static const struct {
                const char *directory, *path, *expect; /* relative to the root of the test */
        } cases[] = {
                { "d", "f", "d/f" },
                { "d", "./f", "d/f" },
                { "d", "e/../f", "d/f" },
                { "d", "../d//f/", "d/f" },
                { "d", "link", "d/f" },
                { "d", "up/up/link", "d/f" },
                { "d/up", "f", "d/f" },
                { ".", "absolute", "d/f" },
                { "d", "broken", "d/nowhere" },
                { "d", "missing/x", "d/missing/x" },
                { "d", "missing/../f", "d/f" },
                { ".", ".", "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *got = NULL;

                assert_int_equal(policy_path_resolve(in_root(cases[i].directory), policy_slice(cases[i].path), &got),
                                 0);
                if (strcmp(got, cases[i].expect[0] ? in_root(cases[i].expect) : root) != 0)
                        fail_msg("%s in %s: %s", cases[i].path, cases[i].directory, got);
        }
}

static void test_absolute(void **state) {
        _cleanup_free_ char *got = NULL, *top = NULL, *above = NULL, *working = NULL;
        char directory[PATH_MAX];

        assert_int_equal(policy_path_resolve("/ignored", policy_slice(in_root("d/link")), &got), 0);
        assert_string_equal(got, in_root("d/f"));
        assert_int_equal(policy_path_resolve(root, POLICY_SLICE("/"), &top), 0);
        assert_string_equal(top, "/");
        assert_int_equal(policy_path_resolve("/", POLICY_SLICE("../../tmp"), &above), 0);
        assert_string_equal(above, "/tmp");
        assert_int_equal(policy_path_resolve(NULL, POLICY_SLICE("x-that-is-not-there"), &working), 0);
        assert_non_null(getcwd(directory, sizeof(directory)));
        assert_int_equal(strncmp(working, directory, strlen(directory)), 0);
}

static void test_not_a_path(void **state) {
        char *got = NULL, longest[PATH_MAX + 1];

        assert_int_equal(policy_path_resolve(root, POLICY_SLICE("loop"), &got), POLICY_PATH_E_LOOP);
        assert_int_equal(policy_path_resolve(root, POLICY_SLICE(""), &got), POLICY_PATH_E_LOOP);
        assert_int_equal(policy_path_resolve(root, POLICY_SLICE("d\0/f"), &got), POLICY_PATH_E_LOOP);
        memset(longest, 'x', sizeof(longest));
        longest[PATH_MAX] = '\0';
        assert_int_equal(policy_path_resolve(root, policy_slice(longest), &got), POLICY_PATH_E_LOOP);
        longest[0] = '/';
        longest[PATH_MAX - 1] = '\0';
        assert_int_equal(policy_path_resolve(root, policy_slice(longest), &got), 0);
        free(got);
}

static void test_kind(void **state) {
        assert_true(policy_path_is_file(in_root("d/f")));
        assert_true(policy_path_is_file(in_root("d/link")));
        assert_false(policy_path_is_file(in_root("d")));
        assert_false(policy_path_is_file(in_root("d/broken")));
        assert_false(policy_path_is_file("/dev/null"));
        assert_true(policy_path_is_directory(in_root("d/up")));
        assert_false(policy_path_is_directory(in_root("d/f")));
}

static void test_list(void **state) {
        _cleanup_(policy_names_deinit) PolicyNames names = {};

        assert_int_equal(policy_names_list(in_root("d"), &names), 0);
        assert_int_equal(names.n, 3); /* no directory, no link to one, no broken link, nothing hidden */
        assert_string_equal(names.names[0], "b");
        assert_string_equal(names.names[1], "f");
        assert_string_equal(names.names[2], "link");
        assert_int_equal(policy_names_list(in_root("missing"), &names), -ENOENT);
        assert_int_equal(policy_names_list(in_root("d/f"), &names), -ENOTDIR);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_resolve), cmocka_unit_test(test_absolute), cmocka_unit_test(test_not_a_path),
                cmocka_unit_test(test_kind),    cmocka_unit_test(test_list),
        };

        return cmocka_run_group_tests_name("policy/path", tests, setup, teardown);
}
