/* SPDX-License-Identifier: Apache-2.0 */
/* The folder has to be root's, so these tests run as root and are skipped otherwise. */
#include "supervisor/auditsink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/socket.h"
#include "base/test-capture.h"

static char folder[] = "/tmp/qair-auditsink-XXXXXX";
static char dir[64], journal[64], file[80];

static const AuditPaths *paths(void) {
        static AuditPaths result;

        result = (AuditPaths){ .journal = journal, .dir = dir, .file = "audit.jsonl" };
        return &result;
}

static int open_sink(SuperviseAudit *ret_kind, int *ret_fd) {
        Capture capture;
        int r;

        capture_begin(&capture);
        r = auditsink_open(paths(), ret_kind, ret_fd);
        capture_end(&capture);
        return r;
}

static void put(const char *text) {
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static void test_file(void **state) {
        SuperviseAudit kind;
        struct stat st;
        char text[64] = "";
        int fd, read_fd;

        assert_int_equal(open_sink(&kind, &fd), 0);
        assert_int_equal(kind, SUPERVISE_AUDIT_FILE);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(stat(dir, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0750);
        close(fd);

        /* What is there stays, and a torn line is ended. */
        put("one\ntwo");
        assert_int_equal(open_sink(&kind, &fd), 0);
        assert_int_equal(write(fd, "three\n", 6), 6);
        close(fd);
        read_fd = open(file, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(read_fd, text, sizeof(text) - 1), 14);
        close(read_fd);
        assert_string_equal(text, "one\ntwo\nthree\n");
}

static void test_refused(void **state) {
        SuperviseAudit kind;
        int fd;

        (void)unlink(file);
        assert_int_equal(symlink("/tmp/qair-elsewhere", file), 0);
        assert_true(open_sink(&kind, &fd) < 0);
        assert_int_equal(access("/tmp/qair-elsewhere", F_OK), -1);
        assert_int_equal(unlink(file), 0);

        assert_int_equal(mkfifo(file, 0600), 0);
        assert_true(open_sink(&kind, &fd) < 0);
        assert_int_equal(unlink(file), 0);

        assert_int_equal(chmod(dir, 0777), 0);
        assert_true(open_sink(&kind, &fd) < 0);
        assert_int_equal(chmod(dir, 0750), 0);
}

static void test_journal(void **state) {
        struct sockaddr_un address;
        socklen_t n_address;
        SuperviseAudit kind;
        char data[16];
        int listener, fd;

        assert_int_equal(socket_address(journal, &address, &n_address), 0);
        listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(open_sink(&kind, &fd), 0);
        assert_int_equal(kind, SUPERVISE_AUDIT_JOURNAL);
        assert_int_equal(send(fd, "MESSAGE=x\n", 10, 0), 10);
        assert_int_equal(recv(listener, data, sizeof(data), 0), 10);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        close(fd);
        close(listener);

        /* A socket that nobody listens to: the file is better than nothing. */
        assert_int_equal(open_sink(&kind, &fd), 0);
        assert_int_equal(kind, SUPERVISE_AUDIT_FILE);
        close(fd);
        assert_int_equal(unlink(journal), 0);
}

static int setup(void **state) {
        if (!mkdtemp(folder))
                return -1;
        snprintf(dir, sizeof(dir), "%s/qubes", folder);
        snprintf(journal, sizeof(journal), "%s/journal", folder);
        snprintf(file, sizeof(file), "%s/audit.jsonl", dir);
        return 0;
}

static int teardown(void **state) {
        (void)unlink(file);
        (void)rmdir(dir);
        return rmdir(folder);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_journal),
        };

        if (geteuid() != 0)
                return 77;
        umask(022);
        return cmocka_run_group_tests(tests, setup, teardown);
}
