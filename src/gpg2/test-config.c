/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/test-folder.h"

static int parse(const char *const *texts, size_t n_texts, Diagnostics *warnings, Diagnostics *errors,
                 Gpg2Config *ret_config) {
        static Gpg2ConfigReader reader;
        int r = 0;

        reader = (Gpg2ConfigReader){ .source = "work", .warnings = warnings, .errors = errors };
        for (size_t i = 0; i < n_texts && texts[i] && r == 0; ++i)
                r = gpg2_config_parse(&reader, "a.conf", texts[i], strlen(texts[i]));
        return r ?: gpg2_config_finish(&reader, ret_config);
}

static void test_accept(void **state) {
        static const struct {
                const char *name, *texts[2];
                uint32_t sign, decrypt;
        } cases[] = {
                { "nothing is set", { "" }, 0, 0 },
                { "no", { "[DEFAULT]\nautoaccept = no\n" }, 0, 0 },
                { "yes", { "[DEFAULT]\nautoaccept = yes\n" }, GPG2_ACCEPT_ALWAYS, GPG2_ACCEPT_ALWAYS },
                { "seconds", { "[DEFAULT]\nautoaccept = 300\n" }, 300, 300 },
                { "one kind", { "[DEFAULT]\npksign_autoaccept = 5\n" }, 5, 0 },
                { "the narrower wins", { "[DEFAULT]\npkdecrypt_autoaccept = no\nautoaccept = 9\n" }, 9, 0 },
                { "the client's wins", { "[client:work]\nautoaccept = 7\n[DEFAULT]\nautoaccept = 9\n" }, 7, 7 },
                { "… also over a later file",
                  { "[client:work]\nautoaccept = 7\n", "[DEFAULT]\nautoaccept = 9\n" },
                  7,
                  7 },
                { "the later file wins", { "[DEFAULT]\nautoaccept = 7\n", "[DEFAULT]\nautoaccept = 9\n" }, 9, 9 },
                { "another client's is not ours", { "[client:works]\nautoaccept = yes\n" }, 0, 0 },
                { "the most", { "[DEFAULT]\nautoaccept = 315360000\n" }, GPG2_ACCEPT_SEC_MAX, GPG2_ACCEPT_SEC_MAX },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics warnings = DIAGNOSTICS_INIT, errors = DIAGNOSTICS_INIT;
                Gpg2Config config;
                int r = parse(cases[i].texts, 2, &warnings, &errors, &config);

                if (r || config.accept_sec[FILTER_OPERATION_SIGN] != cases[i].sign ||
                    config.accept_sec[FILTER_OPERATION_DECRYPT] != cases[i].decrypt)
                        fail_msg("%s: got %d", cases[i].name, r);
        }
}

static void test_other_keys(void **state) {
        static const char *const texts[] = {
                "[DEFAULT]\nverbose_notifications = yes\nallow_keygen = yes\ngnupghome = /home/a/.gnupg\n"
                "source_keyring_dir = no\ndebug_log = /tmp/log\n",
                "[client:work]\nallow_keygen = no\n"
        };
        _cleanup_(diagnostics_deinit) Diagnostics warnings = DIAGNOSTICS_INIT, errors = DIAGNOSTICS_INIT;
        Gpg2Config config;

        (void)state;
        assert_int_equal(parse(texts, 2, &warnings, &errors, &config), 0);
        assert_true(config.verbose_notifications && !config.allow_keygen);
        assert_string_equal(config.gnupghome, "/home/a/.gnupg");
        assert_string_equal(config.source_keyring_dir, "no");
        assert_string_equal(config.debug_log, "/tmp/log");
        assert_string_equal(config.isolated_gnupghome_dirs, "");
}

static void test_refused(void **state) {
        static const struct {
                const char *text;
                const char *says;
        } cases[] = {
                { "[DEFAULT]\nautoaccept = 0\n", "autoaccept = 0: expected no, yes, or a number of seconds" },
                { "[DEFAULT]\nautoaccept = -1\n", "expected no, yes" },
                { "[DEFAULT]\nautoaccept = 315360001\n", "expected no, yes" },
                { "[DEFAULT]\nautoaccept =\n", "expected no, yes" },
                { "[DEFAULT]\nallow_keygen = maybe\n", "expected yes or no" },
                { "[DEFAULT]\ngnupghome = .gnupg\n", "begins with a slash" },
                { "[DEFAULT]\nsource_keyring_dir = yes\n", "expected no, or a path" },
                { "[client:other]\nautoaccept = maybe\n", "expected no, yes" }, /* also what is not for this client */
                { "[work]\nautoaccept = yes\n", "only [DEFAULT] and [client:NAME]" },
                { "[client:]\nautoaccept = yes\n", "only [DEFAULT] and [client:NAME]" },
                { "autoaccept = yes\n", "only [DEFAULT] and [client:NAME]" },
                { "[DEFAULT]\nautoaccept\n", "neither [SECTION] nor KEY = VALUE" },
                { "[DEFAULT]\ngnupghome = /a\nisolated_gnupghome_dirs = /b\n", "one of them, not both" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics warnings = DIAGNOSTICS_INIT, errors = DIAGNOSTICS_INIT;
                const char *texts[] = { cases[i].text };
                Gpg2Config config;

                if (parse(texts, 1, &warnings, &errors, &config) != GPG2_CONFIG_E_INVALID || errors.n_entries != 1)
                        fail_msg("%s: not refused", cases[i].text);
                if (!strstr(errors.entries[0].text, cases[i].says))
                        fail_msg("%s: %s", cases[i].text, errors.entries[0].text);
        }
}

static void test_unknown_keys_warn(void **state) {
        static const char *const texts[] = { "[DEFAULT]\nautoacept = yes\n" };
        _cleanup_(diagnostics_deinit) Diagnostics warnings = DIAGNOSTICS_INIT, errors = DIAGNOSTICS_INIT;
        Gpg2Config config;

        (void)state;
        assert_int_equal(parse(texts, 1, &warnings, &errors, &config), 0);
        assert_int_equal(warnings.n_entries, 1);
        assert_non_null(strstr(warnings.entries[0].text, "autoacept"));
        assert_int_equal(errors.n_entries, 0);
}

static void test_load(void **state) {
        char folder[] = "/tmp/test-gpg2-config-XXXXXX", conf_d[PATH_MAX], etc[PATH_MAX];
        _cleanup_(diagnostics_deinit) Diagnostics warnings = DIAGNOSTICS_INIT, errors = DIAGNOSTICS_INIT;
        Gpg2Config config;

        (void)state;
        assert_non_null(mkdtemp(folder));
        (void)snprintf(etc, sizeof(etc), "%s/etc.conf", folder);
        (void)snprintf(conf_d, sizeof(conf_d), "%s/conf.d", folder);

        assert_int_equal(gpg2_config_load("work", etc, folder, &warnings, &errors, &config), 0); /* nothing is there */
        assert_int_equal(mkdir(conf_d, 0700), 0);
        folder_write(folder, "etc.conf", "[DEFAULT]\nautoaccept = 1\n", 0600);
        assert_int_equal(gpg2_config_load("work", etc, folder, &warnings, &errors, &config), 0);
        assert_int_equal(config.accept_sec[FILTER_OPERATION_SIGN], 1);
        folder_write(conf_d, "20.conf", "[DEFAULT]\nautoaccept = 20\n", 0600);
        folder_write(conf_d, "10.conf", "[DEFAULT]\nautoaccept = 10\n", 0600);
        folder_write(conf_d, "30.conf~", "[DEFAULT]\nautoaccept = 30\n", 0600);
        folder_write(conf_d, ".40.conf", "[DEFAULT]\nautoaccept = 40\n", 0600);
        assert_int_equal(gpg2_config_load("work", etc, folder, &warnings, &errors, &config), 0);
        assert_int_equal(config.accept_sec[FILTER_OPERATION_SIGN], 20);
        folder_write(folder, "qubes-split-gpg2.conf", "[DEFAULT]\nautoaccept = 50\n", 0600);
        assert_int_equal(gpg2_config_load("work", etc, folder, &warnings, &errors, &config), 0);
        assert_int_equal(config.accept_sec[FILTER_OPERATION_SIGN], 50);
        assert_int_equal(errors.n_entries, 0);

        folder_write(conf_d, "10.conf", "[DEFAULT]\nautoaccept = 10\n", 0622); /* anybody could have written it */
        assert_int_equal(gpg2_config_load("work", etc, folder, &warnings, &errors, &config), GPG2_CONFIG_E_INVALID);
        assert_int_equal(errors.n_entries, 1);

        assert_int_equal(folder_remove(folder), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accept),  cmocka_unit_test(test_other_keys),
                cmocka_unit_test(test_refused), cmocka_unit_test(test_unknown_keys_warn),
                cmocka_unit_test(test_load),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
