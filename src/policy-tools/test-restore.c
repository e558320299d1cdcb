/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test-folder.h"
#include "policy-tools/restore.h"

static char root[64];

static const char *in_root(const char *name) {
        static char paths[4][256];
        static size_t i;

        i = (i + 1) % ARRAY_SIZE(paths);
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", root, name);
        return paths[i];
}

static void assert_file(const char *name, const char *text) {
        char *data = NULL;
        size_t n;

        if (!text) {
                assert_int_equal(access(in_root(name), F_OK), -1);
                return;
        }
        assert_int_equal(file_read(AT_FDCWD, in_root(name), 4096, &data, &n), 0);
        assert_string_equal(data, text);
        free(data);
}

/* Restores to "to", and expects it to fail with @error (NULL: not to), with what was said in between as @notes. */
static void restore(const char *error, const char *notes) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_free_ char *said = NULL, *first = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&said, &n);
        int r = policy_restore(in_root("from"), in_root("to"), in_root("legacy"), stream, &diagnostics);

        assert_int_equal(fclose(stream), 0);
        assert_int_equal(r, error ? POLICY_RESTORE_E_INVALID : 0);
        if (error) {
                first = diagnostic_format(&diagnostics.entries[0]);
                if (!strstr(first, error))
                        fail_msg("got '%s', want '%s'", first, error);
        }
        assert_string_equal(said, notes);
}

static void test_restore(void **state) {
        folder_write(root, "from/30-a.policy", "!include include/x\ns.Go * a b allow\n", 0644);
        folder_write(root, "from/include/x", "!include-service s.Ab * include/y\n", 0644);
        folder_write(root, "from/include/y", "$include:include/z\n", 0644);
        folder_write(root, "from/include/z", "a b ask\n", 0644);
        folder_write(root, "from/README", "!include nothing\n", 0644);
        folder_write(root, "from/.hidden.policy", "junk\n", 0644);
        restore(NULL, "");
        assert_file("to/30-a.policy", "!include include/x\ns.Go * a b allow\n");
        assert_file("to/include/z", "a b ask\n");
        assert_file("to/README", "!include nothing\n");
        assert_file("to/.hidden.policy", NULL);
}

static void test_nothing_is_overwritten(void **state) {
        char notes[512];

        folder_write(root, "from/30-a.policy", "s.Go * a b allow\n", 0644);
        folder_write(root, "from/40-b.policy", "s.Go * a b ask\n", 0644);
        assert_int_equal(mkdir(in_root("to"), 0755), 0);
        folder_write(root, "to/30-a.policy", "s.Go * a b deny\n", 0644);
        snprintf(notes, sizeof(notes), "not overwriting %s/to/30-a.policy\n", root);
        restore(NULL, notes);
        assert_file("to/30-a.policy", "s.Go * a b deny\n");
        assert_file("to/40-b.policy", "s.Go * a b ask\n");
}

static void test_refused(void **state) {
        static const struct {
                const char *name, *text, *include, *error;
        } cases[] = {
                { "a syntax error", "junk\n", "", "/to/30-a.policy:1: wrong number of fields" },
                { "a syntax error in an include", "!include include/x\n", "junk\n",
                  "/to/include/x:1: wrong number of fields" },
                { "includes itself", "!include 30-a.policy\n", "", "30-a.policy: includes itself" },
                { "a circle", "!include include/x\n", "!include include/x\n", "include/x: includes itself" },
                { "outside", "!include ../elsewhere\n", "",
                  "30-a.policy:1: includes what is not among the saved files: " },
                { "outside, absolute", "\n!include /etc/passwd\n", "", "30-a.policy:2: includes what is not among" },
                { "a folder outside", "!include-dir /etc\n", "", "includes what is not among the saved files: /etc" },
                { "a file that was not saved", "!include include/none\n", "", "includes what is not among" },
                { "bytes that are no text", "s.Go * a \xff allow\n", "", "invalid UTF-8" },
                { "no directive", "!including x\n", "", "/to/30-a.policy:1: invalid directive" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                print_message("%s\n", cases[i].name);
                folder_write(root, "from/30-a.policy", cases[i].text, 0644);
                folder_write(root, "from/include/x", cases[i].include, 0644);
                folder_write(root, "from/10-fine.policy", "s.Go * a b allow\n", 0644);
                restore(cases[i].error, "");
                assert_file("to/30-a.policy", NULL);
                assert_file("to/10-fine.policy", NULL);
        }
        folder_write(root, "from/30-a.policy", "", 0644);
        folder_write(root, "from/30-A.policy", "", 0644);
        restore("invalid filename: ", "");
}

static void test_include_is_a_folder(void **state) {
        assert_int_equal(mkdir(in_root("to"), 0755), 0);
        assert_int_equal(symlink("/tmp", in_root("to/include")), 0);
        restore("/to/include is not a directory, aborting", "");
        assert_int_equal(unlink(in_root("to/include")), 0);
        folder_write(root, "to/include", "", 0644);
        restore("/to/include is not a directory, aborting", "");
        assert_int_equal(rename(in_root("to/include"), in_root("to/30-b.policy")), 0);
        assert_int_equal(rmdir(in_root("from/include")), 0); /* nothing was saved of it */
        restore(NULL, "");
        assert_int_equal(rmdir(in_root("from")), 0);
        restore("No such file or directory", "");
}

static int set_up(void **state) {
        strcpy(root, "/tmp/qair-restore.XXXXXX");
        return mkdtemp(root) && mkdir(in_root("from"), 0755) == 0 && mkdir(in_root("from/include"), 0755) == 0 &&
                               mkdir(in_root("legacy"), 0755) == 0
                       ? 0
                       : -1;
}

static int tear_down(void **state) {
        return folder_remove(root);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_restore, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nothing_is_overwritten, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_include_is_a_folder, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
