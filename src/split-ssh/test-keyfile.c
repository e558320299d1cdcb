/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "split-ssh/keyfile.h"

static void test_names(void **state) {
        static const struct {
                const char *name;
                bool expect;
        } cases[] = {
                { "id_ed25519", true }, { "work", true },
                { "a.pub.old", true },  { "id_ed25519.pub", false },
                { ".hidden", false },   { "id_ed25519.ssh-add-option", false },
                { "", false },          { ".pub", false },
                { "pub", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (keyfile_is_candidate(cases[i].name) != cases[i].expect)
                        fail_msg("\"%s\"", cases[i].name);
}

static void test_private_keys(void **state) {
        static const struct {
                const char *data;
                size_t n;
                bool expect;
        } cases[] = {
#define CASE(_data, _expect) { _data, sizeof(_data) - 1, _expect }
                CASE("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", true),
                CASE("-----BEGIN RSA PRIVATE KEY-----\n", true),
                CASE("\0\0PRIVATE KEY-----", true),
                CASE("PRIVATE KEY----", false),
                CASE("ssh-ed25519 AAAA work\n", false),
                CASE("", false),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (keyfile_is_private_key(cases[i].data, cases[i].n) != cases[i].expect)
                        fail_msg("\"%s\"", cases[i].data);
}

static void test_options(void **state) {
        static const struct {
                const char *text;
                int expect;
                const char *words; /* joined by `|` */
                size_t bad;
        } cases[] = {
                { "", 0, "", 0 },
                { " \n\t ", 0, "", 0 },
                { "-c", 0, "-c", 0 },
                { "-c -t 3600\n", 0, "-c|-t|3600", 0 },
                { "-q\n-v\t-k\r\n-C -N", 0, "-q|-v|-k|-C|-N", 0 },
                { "-h github.com -h a>b -H known_hosts", 0, "-h|github.com|-h|a>b|-H|known_hosts", 0 },
                { "-h *", 0, "-h|*", 0 },
                { "-t", KEYFILE_E_VALUE, NULL, 0 },
                { "-c -h", KEYFILE_E_VALUE, NULL, 1 },
                { "-h -D", KEYFILE_E_VALUE, NULL, 0 },
                { "-D", KEYFILE_E_OPTION, NULL, 0 },
                { "-c -s /usr/lib/a.so", KEYFILE_E_OPTION, NULL, 1 },
                { "-cq", KEYFILE_E_OPTION, NULL, 0 },
                { "-t3600", KEYFILE_E_OPTION, NULL, 0 },
                { "file", KEYFILE_E_OPTION, NULL, 0 },
                { "--", KEYFILE_E_OPTION, NULL, 0 },
                { "-", KEYFILE_E_OPTION, NULL, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const char *words[KEYFILE_WORDS_MAX + 1] = {};
                char text[KEYFILE_OPTIONS_MAX], joined[KEYFILE_OPTIONS_MAX] = "";
                size_t n = 0;
                int r;

                strcpy(text, cases[i].text);
                r = keyfile_parse_options(text, strlen(text), words, &n);
                if (r != cases[i].expect)
                        fail_msg("\"%s\": got %d, want %d", cases[i].text, r, cases[i].expect);
                if (r) {
                        assert_int_equal(n, cases[i].bad);
                        assert_string_not_equal(keyfile_error_text(r), keyfile_error_text(0));
                        continue;
                }
                for (size_t j = 0; j < n; ++j) {
                        strcat(joined, j > 0 ? "|" : "");
                        strcat(joined, words[j]);
                }
                assert_string_equal(joined, cases[i].words);
        }
}

static void test_many_words(void **state) {
        const char *words[KEYFILE_WORDS_MAX + 1];
        char text[KEYFILE_OPTIONS_MAX] = "";
        size_t n;

        for (size_t i = 0; i < KEYFILE_WORDS_MAX; ++i)
                strcat(text, "-c ");
        assert_int_equal(keyfile_parse_options(text, strlen(text), words, &n), 0);
        assert_int_equal(n, KEYFILE_WORDS_MAX);
        text[0] = '\0';
        for (size_t i = 0; i < KEYFILE_WORDS_MAX + 1; ++i)
                strcat(text, "-c ");
        assert_int_equal(keyfile_parse_options(text, strlen(text), words, &n), KEYFILE_E_TOO_MANY);
        assert_int_equal(keyfile_parse_options(memcpy(text, "-c\0-c", 6), 5, words, &n), KEYFILE_E_NUL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_private_keys),
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_many_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
