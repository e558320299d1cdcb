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

#include "base/file.h"
#include "base/test-folder.h"
#include "policy-tools/register.h"

static char root[] = "/tmp/qair-register.XXXXXX", run_directory[64], etc_directory[64];

static int call(const char *frontend, const char *backend, const char *service, PolicySlice argument) {
        const char *const directories[] = { run_directory, etc_directory };
        char *message = NULL;
        int r = policy_register(&(PolicyRegistration){ .frontend = frontend,
                                                       .backend = backend,
                                                       .service = service,
                                                       .argument = argument,
                                                       .directories = directories,
                                                       .n_directories = 2,
                                                       .legacy = "/nonexistent" },
                                &message);

        assert_true((r == POLICY_REGISTER_E_FAILED) == (message != NULL));
        free(message);
        return r;
}

static void path_of(const char *directory, const char *name, char path[static 128]) {
        snprintf(path, 128, "%s/%s", directory, name);
}

static void remove_file(const char *directory, const char *name) {
        char path[128];

        path_of(directory, name, path);
        assert_int_equal(remove(path), 0);
}

static void assert_registered(const char *text) {
        char path[128], *data = NULL;
        size_t n;

        path_of(etc_directory, POLICY_REGISTER_FILE, path);
        assert_int_equal(file_read(AT_FDCWD, path, 4096, &data, &n), 0);
        assert_string_equal(data, text);
        free(data);
}

static void test_register(void **state) {
        assert_int_equal(call("work", "usb", "u2f.Register", POLICY_SLICE("a-._9")), 0);
        assert_registered("u2f.Register +a-._9 work usb allow\n");
        assert_int_equal(call("work", "usb", "u2f.Register", POLICY_SLICE("a-._9")), POLICY_REGISTER_E_REGISTERED);
        assert_int_equal(call("mail", "usb", "u2f.Register", POLICY_SLICE("b")), 0);
        assert_registered("u2f.Register +a-._9 work usb allow\nu2f.Register +b mail usb allow\n");
        remove_file(etc_directory, POLICY_REGISTER_FILE);
}

static void test_refused(void **state) {
        static const char longest[] = "0123456789012345678901234567890123456789012345678901234567890123";
        static const struct {
                const char *name, *frontend, *backend, *service;
                PolicySlice argument;
                int expect;
        } cases[] = {
                { "too long", "work", "usb", "s.Go", { longest, 65 }, POLICY_REGISTER_E_TOO_LONG },
                { "empty", "work", "usb", "s.Go", { "", 0 }, POLICY_REGISTER_E_EMPTY },
                { "a plus sign", "work", "usb", "s.Go", { "a+b", 3 }, POLICY_REGISTER_E_CHARACTERS },
                { "a NUL", "work", "usb", "s.Go", { "a\0b", 3 }, POLICY_REGISTER_E_CHARACTERS },
                { "another line", "work", "usb", "s.Go", { "a\n", 2 }, POLICY_REGISTER_E_CHARACTERS },
                { "a keyword was asked for", NULL, "usb", "s.Go", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "a keyword as frontend", "@anyvm", "usb", "s.Go", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "everybody as frontend", "*", "usb", "s.Go", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "a uuid", "uuid:1", "usb", "s.Go", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "words as backend", "work", "usb allow\n", "s.Go", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "no backend", "work", NULL, "s.Go", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "no service", "work", "usb", "", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "any service", "work", "usb", "*", { "a", 1 }, POLICY_REGISTER_E_NAME },
                { "a service with argument", "work", "usb", "s.Go+x", { "a", 1 }, POLICY_REGISTER_E_NAME },
        };
        char path[128];
        struct stat st;

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int r = call(cases[i].frontend, cases[i].backend, cases[i].service, cases[i].argument);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
        }
        path_of(etc_directory, POLICY_REGISTER_FILE, path);
        assert_int_equal(stat(path, &st), -1);
        assert_int_equal(call("work", "usb", "s.Go", (PolicySlice){ longest, 64 }), 0);
        remove_file(etc_directory, POLICY_REGISTER_FILE);
}

/* What another file says counts, in either directory; a rule for any argument does not. */
static void test_registered_elsewhere(void **state) {
        folder_write(run_directory, "30-a.policy", "s.Go +x a b deny\ns.Go * a b deny\n* * a b deny\n", 0644);
        assert_int_equal(call("work", "usb", "s.Go", POLICY_SLICE("x")), POLICY_REGISTER_E_REGISTERED);
        assert_int_equal(call("work", "usb", "s.Go", POLICY_SLICE("y")), 0);
        remove_file(run_directory, "30-a.policy");
        remove_file(etc_directory, POLICY_REGISTER_FILE);
}

static void test_last_line_without_end(void **state) {
        folder_write(etc_directory, POLICY_REGISTER_FILE, "s.Go +x a b deny", 0644);
        assert_int_equal(call("work", "usb", "s.Go", POLICY_SLICE("y")), 0);
        assert_registered("s.Go +x a b deny\ns.Go +y work usb allow\n");
        remove_file(etc_directory, POLICY_REGISTER_FILE);
}

static void test_broken_policy(void **state) {
        folder_write(etc_directory, "30-a.policy", "junk\n", 0644);
        assert_int_equal(call("work", "usb", "s.Go", POLICY_SLICE("y")), POLICY_REGISTER_E_FAILED);
        remove_file(etc_directory, "30-a.policy");
        assert_string_equal(policy_register_error(POLICY_REGISTER_E_EMPTY), "empty argument");
}

static int set_up(void **state) {
        if (!mkdtemp(root))
                return -1;
        snprintf(run_directory, sizeof(run_directory), "%s/run", root);
        snprintf(etc_directory, sizeof(etc_directory), "%s/etc", root);
        return mkdir(run_directory, 0755) < 0 || mkdir(etc_directory, 0755) < 0 ? -1 : 0;
}

static int tear_down(void **state) {
        return folder_remove(root);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_register),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_registered_elsewhere),
                cmocka_unit_test(test_last_line_without_end),
                cmocka_unit_test(test_broken_policy),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
