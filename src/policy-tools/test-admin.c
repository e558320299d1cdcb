/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test-folder.h"
#include "policy-tools/admin.h"

static char root[] = "/tmp/qair-admin.XXXXXX";
static char directory[64];

static bool has_file(const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return access(path, F_OK) == 0;
}

static int call_in(const char *where, const char *service, const char *argument, const char *payload,
                   PolicyAdminReply *reply) {
        return policy_admin(&(PolicyAdminRequest){ .service = policy_slice(service),
                                                   .argument = policy_slice(argument),
                                                   .payload = policy_slice(payload),
                                                   .directory = where,
                                                   .legacy = "/nonexistent" },
                            reply);
}

static int call(const char *service, const char *argument, const char *payload, PolicyAdminReply *reply) {
        return call_in(directory, service, argument, payload, reply);
}

/* A file whose name makes the policy unusable can be taken away by its name, and is the only way out. */
static void test_remove_bad_name(void **state) {
        PolicyAdminReply reply = {};

        folder_write(directory, "Foo.policy", "s * * * deny\n", 0644);
        assert_int_equal(call("policy.Replace", "30-user", "any\ns * * * ask\n", &reply), POLICY_ADMIN_E_INTERNAL);
        policy_admin_reply_deinit(&reply);
        assert_int_equal(call("policy.Remove", "Foo", "any", &reply), 0);
        policy_admin_reply_deinit(&reply);
        assert_false(has_file("Foo.policy"));
}

/* Split as the loader splits, so that what is accepted is what will be read. */
static void test_carriage_return(void **state) {
        PolicyAdminReply reply = {};

        assert_int_equal(call("policy.Replace", "30-user", "any\n# x\rjunk\n", &reply), POLICY_ADMIN_E_REFUSED);
        assert_string_equal(reply.error_class, "PolicyAdminSyntaxException");
        assert_non_null(strstr(reply.message, "30-user.policy:2: wrong number of fields"));
        policy_admin_reply_deinit(&reply);
        assert_false(has_file("30-user.policy"));
}

static void test_linked_directory(void **state) {
        PolicyAdminReply reply = {};
        char link[64];

        snprintf(link, sizeof(link), "%s/link", root);
        assert_int_equal(symlink("etc", link), 0);
        assert_int_equal(call_in(link, "policy.Replace", "30-user", "new\ns * * * deny\n", &reply), 0);
        policy_admin_reply_deinit(&reply);
        assert_int_equal(call_in(link, "policy.Get", "30-user", "", &reply), 0);
        assert_non_null(strstr(reply.output, "\ns * * * deny\n"));
        policy_admin_reply_deinit(&reply);
        assert_int_equal(call("policy.Remove", "30-user", "any", &reply), 0);
        policy_admin_reply_deinit(&reply);
}

/* Nothing that is not a policy file is ever left where one is looked for, and nothing temporary either. */
static void test_written_file(void **state) {
        PolicyAdminReply reply = {};
        char path[128];
        struct stat st;

        assert_int_equal(call("policy.include.Replace", "inc", "any\ngarbage", &reply), 0);
        policy_admin_reply_deinit(&reply);
        snprintf(path, sizeof(path), "%s/include/inc", directory);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, POLICY_ADMIN_MODE);
        assert_int_equal(call("policy.include.List", "", "", &reply), 0);
        assert_string_equal(reply.output, "inc\n");
        policy_admin_reply_deinit(&reply);
        assert_int_equal(call("policy.include.Remove", "inc", "any", &reply), 0);
        policy_admin_reply_deinit(&reply);
}

/* Where an administrator has given the folder to its group, so are the files in it. */
static void test_written_for_group(void **state) {
        PolicyAdminReply reply = {};
        char path[128];
        struct stat st;

        assert_int_equal(chmod(directory, 02775), 0);
        assert_int_equal(call("policy.Replace", "50-x", "new\n# x\n", &reply), 0);
        policy_admin_reply_deinit(&reply);
        assert_int_equal(chmod(directory, 0755), 0);
        snprintf(path, sizeof(path), "%s/50-x.policy", directory);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, POLICY_ADMIN_MODE_GROUP);
        assert_int_equal(unlink(path), 0);
}

/* The new content of a folder's file counts where the folder is included. */
static void test_include_dir(void **state) {
        PolicyAdminReply reply = {};

        folder_write(directory, "10-all.policy", "!include-dir include\n", 0644);
        assert_int_equal(call("policy.include.Replace", "inc", "any\ngarbage", &reply), 0); /* not a candidate */
        policy_admin_reply_deinit(&reply);
        assert_int_equal(call("policy.include.Remove", "inc", "any", &reply), 0);
        policy_admin_reply_deinit(&reply);
        assert_int_equal(call("policy.Remove", "10-all", "any", &reply), 0);
        policy_admin_reply_deinit(&reply);
}

static void test_files_of_no_rules(void **state) {
        PolicyAdminReply reply = {};

        assert_int_equal(call("policy.GetFiles", "s", "", &reply), 0);
        assert_string_equal(reply.output, "");
        policy_admin_reply_deinit(&reply);
}

static void test_missing_directory(void **state) {
        PolicyAdminReply reply = {};

        assert_int_equal(call_in("/nonexistent", "policy.List", "", "", &reply), POLICY_ADMIN_E_INTERNAL);
        policy_admin_reply_deinit(&reply);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_remove_bad_name),   cmocka_unit_test(test_carriage_return),
                cmocka_unit_test(test_linked_directory),  cmocka_unit_test(test_written_file),
                cmocka_unit_test(test_written_for_group), cmocka_unit_test(test_include_dir),
                cmocka_unit_test(test_missing_directory), cmocka_unit_test(test_files_of_no_rules),
        };
        char include[96];
        int r;

        if (!mkdtemp(root))
                return 1;
        snprintf(directory, sizeof(directory), "%s/etc", root);
        snprintf(include, sizeof(include), "%s/include", directory);
        if (mkdir(directory, 0755) < 0 || mkdir(include, 0755) < 0)
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        return folder_remove(root) < 0 ? 1 : r;
}
