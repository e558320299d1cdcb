/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"

static char folder[] = "/tmp/qair-test-file-XXXXXX";
static int folder_fd = -1;

static int setup(void **state) {
        strcpy(folder + strlen(folder) - 6, "XXXXXX");
        if (!mkdtemp(folder))
                return -1;
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return folder_fd < 0;
}

static int n_entries(void) {
        DIR *dir = opendir(folder);
        int n = 0;

        while (readdir(dir))
                ++n;
        closedir(dir);
        return n - 2;
}

static int teardown(void **state) {
        DIR *dir = opendir(folder);
        struct dirent *entry;

        while ((entry = readdir(dir)))
                (void)(unlinkat(dirfd(dir), entry->d_name, 0) && unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR));
        closedir(dir);
        folder_fd = fd_close(folder_fd);
        return rmdir(folder);
}

static void put(const char *name, const char *text, mode_t mode) {
        _cleanup_fd_ int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
}

static void check_content(const char *name, const char *expect) {
        _cleanup_free_ char *data = NULL;
        size_t n = 0;

        assert_int_equal(file_read(folder_fd, name, 100, &data, &n), 0);
        assert_string_equal(data, expect);
        assert_int_equal(n, strlen(expect));
}

static void test_check_trusted(void **state) {
        const struct {
                const char *name;
                struct stat st;
                int expect;
        } cases[] = {
                { "ours, nobody else writes", { .st_uid = geteuid(), .st_mode = S_IFREG | 0644 }, 0 },
                { "root's", { .st_uid = 0, .st_mode = S_IFREG | 0755 }, 0 },
                { "somebody else's", { .st_uid = geteuid() + 1, .st_mode = S_IFREG | 0600 }, FILE_E_OWNER },
                { "the group writes", { .st_uid = geteuid(), .st_mode = S_IFREG | 0664 }, FILE_E_WRITABLE },
                { "others write", { .st_uid = geteuid(), .st_mode = S_IFREG | 0602 }, FILE_E_WRITABLE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int r = file_check_trusted(&cases[i].st);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
        }
}

static void test_read_trusted(void **state) {
        _cleanup_free_ char *data = NULL;
        size_t n = 0;

        put("good", "hello", 0644);
        put("group", "hello", 0664);
        assert_int_equal(symlinkat("good", folder_fd, "link"), 0);
        assert_int_equal(mkdirat(folder_fd, "folder", 0755), 0);
        assert_int_equal(mkfifoat(folder_fd, "fifo", 0600), 0);

        assert_int_equal(file_read_trusted(folder_fd, "group", 5, &data, &n), FILE_E_WRITABLE);
        assert_int_equal(file_read_trusted(folder_fd, "link", 5, &data, &n), FILE_E_SYMLINK);
        assert_int_equal(file_read_trusted(folder_fd, "folder", 5, &data, &n), FILE_E_NOT_REGULAR);
        assert_int_equal(file_read_trusted(folder_fd, "fifo", 5, &data, &n), FILE_E_NOT_REGULAR);
        assert_int_equal(file_read_trusted(folder_fd, "none", 5, &data, &n), FILE_E_NOT_FOUND);
        assert_int_equal(file_read_trusted(folder_fd, "good", 4, &data, &n), FILE_E_TOO_LARGE);
        assert_null(data);
        assert_int_equal(file_read_trusted(folder_fd, "good", 5, &data, &n), 0);
        assert_string_equal(data, "hello");
        if (geteuid() == 0) {
                assert_int_equal(fchownat(folder_fd, "good", 1, -1, 0), 0);
                assert_int_equal(file_read_trusted(folder_fd, "good", 5, &data, &n), FILE_E_OWNER);
        }
}

static void test_replace(void **state) {
        struct stat st;
        mode_t mask = umask(077);

        assert_int_equal(file_replace(folder_fd, "f", "one", 3, 0644, true), 0);
        umask(mask);
        check_content("f", "one");
        assert_int_equal(fstatat(folder_fd, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0644);

        assert_int_equal(file_replace(folder_fd, "f", "two", 3, 0644, true), FILE_E_EXISTS);
        check_content("f", "one");
        assert_int_equal(file_replace(folder_fd, "f", "two", 3, 0644, false), 0);
        check_content("f", "two");
        assert_int_equal(n_entries(), 1);

        /* A reader that had the old file open keeps the old content: the file was replaced, not overwritten. */
        {
                _cleanup_fd_ int fd = openat(folder_fd, "f", O_RDONLY | O_CLOEXEC);
                char old[3];

                assert_int_equal(file_replace(folder_fd, "f", "3", 1, 0644, false), 0);
                assert_int_equal(fd_read_full(fd, old, 3), 0);
                assert_memory_equal(old, "two", 3);
        }

        /* What a writer that died left behind does not stand in the way. */
        {
                char stale[64];

                snprintf(stale, sizeof(stale), ".f.%d.tmp", (int)getpid());
                put(stale, "half", 0600);
                assert_int_equal(file_replace(folder_fd, "f", "four", 4, 0644, false), 0);
                check_content("f", "four");
                assert_int_equal(n_entries(), 1);
        }

        if (geteuid() == 0) {
                assert_int_equal(fchownat(folder_fd, "f", 1, 2, 0), 0);
                assert_int_equal(file_replace(folder_fd, "f", "five", 4, 0644, false), 0);
                assert_int_equal(fstatat(folder_fd, "f", &st, 0), 0);
                assert_int_equal(st.st_uid, 1);
                assert_int_equal(st.st_gid, 2);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_check_trusted),
                cmocka_unit_test_setup_teardown(test_read_trusted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
