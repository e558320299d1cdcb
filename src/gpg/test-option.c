/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

/* The specification's own list, so that a name that slips into the table shows (5.1, 5.3, 5.4). */
static void test_table(void **state) {
        size_t n_allowed = 0, n_forbidden = 0;
        char plain[32] = "", valued[32] = "";

        for (size_t i = 0; gpg_option_get(i); ++i) {
                const GpgOption *option = gpg_option_get(i);

                if (gpg_option_find(option->name, strlen(option->name)) != option)
                        fail_msg("--%s is there twice", option->name);
                if (option->letter && gpg_option_find_letter(option->letter) != option)
                        fail_msg("-%c is there twice", option->letter);
                if (option->letter)
                        strncat(option->has_value ? valued : plain, &option->letter, 1);
                if (option->kind == GPG_OPTION_KIND_FORBIDDEN)
                        ++n_forbidden;
                else
                        ++n_allowed;
        }
        assert_int_equal(n_forbidden, 17);
        assert_int_equal(n_allowed, 96);
        for (const char *letter = "bacdekKnqst"; *letter; ++letter)
                assert_non_null(strchr(plain, *letter));
        for (const char *letter = "NorRu"; *letter; ++letter)
                assert_non_null(strchr(valued, *letter));
        assert_int_equal(strlen(plain), strlen("bacdekKnqst"));
        assert_int_equal(strlen(valued), strlen("NorRu"));
}

/* What people try, and must never get (5.4). */
static void test_unknown(void **state) {
        static const char *const names[] = {
                "card-status",
                "card-edit",
                "recv-keys",
                "send-keys",
                "search-keys",
                "refresh-keys",
                "locate-keys",
                "keyserver",
                "auto-key-locate",
                "export-secret-keys",
                "export-secret-subkeys",
                "import",
                "delete-keys",
                "delete-secret-keys",
                "edit-key",
                "sign-key",
                "gen-key",
                "quick-gen-key",
                "passwd",
                "change-pin",
                "homedir",
                "options",
                "keyring",
                "no-default-keyring",
                "primary-keyring",
                "log-file",
                "passphrase",
                "passphrase-fd",
                "passphrase-file",
                "pinentry-mode",
                "photo-viewer",
                "exec-path",
                "agent-program",
                "dirmngr-program",
                "load-extension",
                "multifile",
                "decrypt-files",
                "encrypt-files",
                "verify-files",
                "recipient-file",
                "enable-special-filenames",
                "gen-random",
                "gen-rand",
                "print-md",
                "enarmor",
                "dearmor",
                "yes",
                "no",
                "expert",
                "help",
                /* abbreviations, and more than a name */
                "sig",
                "decry",
                "",
                "sign=",
                "signx",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); ++i)
                if (gpg_option_find(names[i], strlen(names[i])))
                        fail_msg("--%s is known", names[i]);
        assert_null(gpg_option_find_letter('v'));
        assert_null(gpg_option_find_letter('\0'));
        assert_null(gpg_option_find_letter('-'));
}

static void test_hint(void **state) {
        assert_non_null(strstr(gpg_option_hint("card-status", 11), "card"));
        assert_non_null(strstr(gpg_option_hint("recv-keys", 9), "qubes-gpg-import-key"));
        assert_non_null(strstr(gpg_option_hint("export-secret-keys", 18), "never"));
        assert_null(gpg_option_hint("card-statu", 10));
        assert_null(gpg_option_hint("sign", 4));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_hint),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
