/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/state.h"

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

#include "base/fd.h"
#include "base/test-folder.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char folder[] = "/tmp/test-ssh-state.XXXXXX", path[128], moved[128];

static void test_folder(void **state) {
        SshState shared;
        struct stat st;

        assert_int_equal(ssh_state_open(path, &shared), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        ssh_state_close(&shared);
        /* Again, and as something that it must not be. */
        assert_int_equal(ssh_state_open(path, &shared), 0);
        ssh_state_close(&shared);
        assert_int_equal(chmod(path, 0750), 0);
        assert_int_equal(ssh_state_open(path, &shared), SSH_STATE_E_UNSAFE);
        assert_int_equal(chmod(path, 0700), 0);
        assert_int_equal(rename(path, moved), 0);
        assert_int_equal(symlink(moved, path), 0);
        assert_int_equal(ssh_state_open(path, &shared), SSH_STATE_E_UNSAFE);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename(moved, path), 0);
        assert_int_equal(ssh_state_open("/nonexistent/folder", &shared), SSH_STATE_E_FAILED);
}

static void test_slots(void **state) {
        int one = -1, two = -1, three = -1, other = -1;
        SshState shared;

        assert_int_equal(ssh_state_open(path, &shared), 0);
        assert_int_equal(ssh_state_slot(&shared, "work", 2, &one), 0);
        assert_int_equal(ssh_state_slot(&shared, "work", 2, &two), 0);
        assert_int_equal(ssh_state_slot(&shared, "work", 2, &three), SSH_STATE_E_FULL);
        assert_int_equal(ssh_state_slot(&shared, "wor", 2, &other), 0);
        one = fd_close(one);
        assert_int_equal(ssh_state_slot(&shared, "work", 2, &three), 0);
        (void)fd_close(two);
        (void)fd_close(three);
        (void)fd_close(other);
        ssh_state_close(&shared);
}

static void test_rates(void **state) {
        static const SshRate rate = { 2, 3600 }, off = {};
        bool tell = false;
        SshState shared;

        assert_int_equal(ssh_state_open(path, &shared), 0);
        assert_int_equal(ssh_state_count(&shared, "work", "t", "rate", rate, &tell), 0);
        assert_int_equal(ssh_state_count(&shared, "work", "t", "rate", rate, &tell), 0);
        assert_false(tell);
        assert_int_equal(ssh_state_count(&shared, "work", "t", "rate", rate, &tell), SSH_STATE_E_FULL);
        assert_true(tell);
        assert_int_equal(ssh_state_count(&shared, "work", "t", "rate", rate, &tell), SSH_STATE_E_FULL);
        assert_false(tell);
        assert_int_equal(ssh_state_count(&shared, "work", "u", "rate", rate, NULL), 0);
        assert_int_equal(ssh_state_count(&shared, "work", "t", "prompt-rate", rate, NULL), 0);
        assert_int_equal(ssh_state_count(&shared, "work", "t", "rate", off, NULL), 0);

        folder_write(path, "work@u.rate", "nonsense", 0600);
        assert_int_equal(ssh_state_count(&shared, "work", "u", "rate", rate, NULL), SSH_STATE_E_FULL);
        assert_int_equal(ssh_state_count(&shared, "work", "u", "rate", rate, NULL), SSH_STATE_E_FULL);
        ssh_state_close(&shared);
        assert_int_equal(ssh_state_count(&shared, "work", "t", "rate", rate, NULL), SSH_STATE_E_FAILED);
}

static void test_denials(void **state) {
        SshState shared;

        assert_int_equal(ssh_state_open(path, &shared), 0);
        assert_false(ssh_state_is_denied(&shared, "work", "t", 3600));
        ssh_state_deny(&shared, "work", "t");
        assert_true(ssh_state_is_denied(&shared, "work", "t", 3600));
        assert_false(ssh_state_is_denied(&shared, "work", "t", 0));
        assert_false(ssh_state_is_denied(&shared, "work", "u", 3600));
        folder_write(path, "work@u.denied", "nonsense", 0600);
        assert_true(ssh_state_is_denied(&shared, "work", "u", 3600));
        ssh_state_close(&shared);
        assert_true(ssh_state_is_denied(&shared, "work", "v", 3600));
}

static void test_grants(void **state) {
        SshState shared;

        assert_int_equal(ssh_state_open(path, &shared), 0);
        assert_false(ssh_state_is_granted(&shared, HASH));
        assert_true(ssh_state_grant(&shared, HASH, 3600, "source=work\n"));
        assert_true(ssh_state_is_granted(&shared, HASH));
        folder_write(path, "grants/" HASH, "nonsense\n", 0600);
        assert_false(ssh_state_is_granted(&shared, HASH));
        ssh_state_close(&shared);
}

static int make_folder(void **state) {
        if (!mkdtemp(folder))
                return -1;
        (void)snprintf(path, sizeof(path), "%s/state", folder);
        (void)snprintf(moved, sizeof(moved), "%s/moved", folder);
        return 0;
}

static int remove_folder(void **state) {
        return folder_remove(folder);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_folder),  cmocka_unit_test(test_slots),  cmocka_unit_test(test_rates),
                cmocka_unit_test(test_denials), cmocka_unit_test(test_grants),
        };

        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
