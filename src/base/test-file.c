/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/test-folder.h"

static char folder[] = "/tmp/qair-test-file-XXXXXX";
static int folder_fd = -1;

static int make(const char *name, const void *data, size_t n) {
        _cleanup_fd_ int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        return fd < 0 ? -1 : fd_write_full(fd, data, n);
}

static int setup(void **state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_fd_ int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
                return -1;
        folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        strcpy(address.sun_path, folder);
        strcat(address.sun_path, "/socket");
        return make("empty", "", 0) || make("ten", "0123456789", 10) || make("nul", "a\0b", 3) ||
               make("secret", "x", 1) || fchmodat(folder_fd, "secret", 0, 0) || mkdirat(folder_fd, "folder", 0755) ||
               mkfifoat(folder_fd, "fifo", 0644) || symlinkat("ten", folder_fd, "link") ||
               symlinkat("loop", folder_fd, "loop") || symlinkat("nowhere", folder_fd, "dangling") ||
               bind(socket_fd, (struct sockaddr *)&address, sizeof(address));
}

static int teardown(void **state) {
        close(folder_fd);
        return folder_remove(folder);
}

static void test_file_read(void **state) {
        static const struct {
                const char *name, *path;
                size_t n_max;
                int expect;
                const char *expect_data;
                size_t n_expect;
        } cases[] = {
                { "empty", "empty", 0, 0, "", 0 },
                { "at the limit", "ten", 10, 0, "0123456789", 10 },
                { "one byte over the limit", "ten", 9, FILE_E_TOO_LARGE },
                { "far below the limit", "ten", SIZE_MAX, 0, "0123456789", 10 },
                { "NUL in the content", "nul", 10, 0, "a\0b", 3 },
                { "symbolic link", "link", 10, 0, "0123456789", 10 },
                { "absent", "absent", 10, FILE_E_NOT_FOUND },
                { "dangling link", "dangling", 10, FILE_E_NOT_FOUND },
                { "link to itself", "loop", 10, FILE_E_NOT_FOUND },
                { "part of the path is a file", "ten/x", 10, FILE_E_NOT_FOUND },
                { "folder", "folder", 10, FILE_E_NOT_REGULAR },
                { "FIFO nobody writes to", "fifo", 10, FILE_E_NOT_REGULAR },
                { "socket", "socket", 10, FILE_E_NOT_REGULAR },
                { "endless device", "/dev/zero", 10, FILE_E_NOT_REGULAR },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *data = NULL;
                size_t n = 4711;
                int r = file_read(folder_fd, cases[i].path, cases[i].n_max, &data, &n);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r && (data || n != 4711))
                        fail_msg("%s: outputs were touched", cases[i].name);
                if (!r && (n != cases[i].n_expect || memcmp(data, cases[i].expect_data, n + 1) != 0))
                        fail_msg("%s: wrong content of %zu bytes", cases[i].name, n);
        }
}

/* Files whose size is 0 until they are read are read whole, or found to be too large. */
static void test_file_that_grows(void **state) {
        _cleanup_free_ char *data = NULL;
        size_t n;

        assert_int_equal(file_read(AT_FDCWD, "/proc/self/status", 65536, &data, &n), 0);
        assert_int_equal(strlen(data), n);
        assert_int_equal(strncmp(data, "Name:", 5), 0);
        assert_non_null(strstr(data, "nonvoluntary_ctxt_switches"));

        data = (free(data), NULL);
        assert_int_equal(file_read(AT_FDCWD, "/proc/self/status", 20, &data, &n), FILE_E_TOO_LARGE);
}

static void test_name_too_long(void **state) {
        char path[300];
        char *data;
        size_t n;

        memset(path, 'a', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(file_read(folder_fd, path, 10, &data, &n), FILE_E_NOT_FOUND);
}

/* root may read everything, so a child becomes somebody else first. */
static void test_no_permission(void **state) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                char *data;
                size_t n;

                if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
                        _exit(100);
                _exit(file_read(folder_fd, "secret", 10, &data, &n));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), FILE_E_ACCESS);
}

static void test_error_text(void **state) {
        static const int codes[] = { FILE_E_NOT_FOUND, FILE_E_ACCESS, FILE_E_NOT_REGULAR, FILE_E_TOO_LARGE, 99 };

        for (size_t i = 0; i < ARRAY_SIZE(codes); ++i)
                for (size_t j = 0; j < i; ++j)
                        assert_string_not_equal(file_error_text(codes[i]), file_error_text(codes[j]));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file_read),     cmocka_unit_test(test_file_that_grows),
                cmocka_unit_test(test_name_too_long), cmocka_unit_test(test_no_permission),
                cmocka_unit_test(test_error_text),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
