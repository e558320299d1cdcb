/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/keylist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define PRIMARY_FPR "0E21E6C44111008F57CEE27D49F189080DD564D1"
#define SIGN_FPR    "410429EE99477E68EDC26B865ECFF67D2E0CE483"
#define CRYPT_FPR   "229177F9DAF8904802E22989BEBF4AA3671C8D89"
#define GRIP(_c)    _c "234567890123456789012345678901234567890"

#define SEC(_secret)       "sec:u:2048:1:49F189080DD564D1:1795326014:1858398014::u:::scESC:::" _secret ":::23::0:\n"
#define SSB(_secret)       "ssb:u:255:22:5ECFF67D2E0CE483:1795326014::::::s:::" _secret "::ed25519::\n"
#define FPR(_fpr)          "fpr:::::::::" _fpr ":\n"
#define GRP(_grip)         "grp:::::::::" _grip ":\n"
#define USR(_user)         "uid:u::::1795326014::B45F::" _user "::::::::::0:\n"
#define PRIMARY(_c, _user) SEC("+") FPR(PRIMARY_FPR) GRP(GRIP(_c)) USR(_user)

static void test_parse(void **state) {
        static const struct {
                const char *name, *text;
                bool subkeys_alone;
                int r;
                const char *expect;      /* first digits of the keygrips */
                const char *description; /* of the last */
        } cases[] = {
                { "nothing", "", false, 0, "", NULL },
                { "trust records are no keys", "tru::1:1795326014:0:3:1:5\n", false, 0, "", NULL },
                { "a primary key", PRIMARY("1", "A <a@b>"), false, 0, "1", "A <a@b>\nkey " PRIMARY_FPR },
                { "… is no subkey", PRIMARY("1", "A <a@b>"), true, 0, "", NULL },
                { "two subkeys",
                  PRIMARY("1", "A <a@b>") SSB("+") FPR(SIGN_FPR) GRP(GRIP("2")) SSB("+") FPR(CRYPT_FPR) GRP(GRIP("3")),
                  false, 0, "123", "A <a@b>\nkey " CRYPT_FPR "\nof " PRIMARY_FPR },
                { "… alone",
                  PRIMARY("1", "A <a@b>") SSB("+") FPR(SIGN_FPR) GRP(GRIP("2")) SSB("+") FPR(CRYPT_FPR) GRP(GRIP("3")),
                  true, 0, "23", "A <a@b>\nkey " CRYPT_FPR "\nof " PRIMARY_FPR },
                { "no newline at the end", PRIMARY("1", "A") SSB("+") FPR(SIGN_FPR) "grp:::::::::" GRIP("2") ":", true,
                  0, "2", "A\nkey " SIGN_FPR "\nof " PRIMARY_FPR },
                { "the primary's secret is elsewhere",
                  SEC("#") FPR(PRIMARY_FPR) GRP(GRIP("1")) USR("A") SSB("+") FPR(SIGN_FPR) GRP(GRIP("2")), false, 0,
                  "2", "A\nkey " SIGN_FPR "\nof " PRIMARY_FPR },
                { "a subkey's is", PRIMARY("1", "A") SSB("#") FPR(SIGN_FPR) GRP(GRIP("2")), true, 0, "", NULL },
                { "a card's serial number",
                  PRIMARY("1", "A") SSB("D2760001240102000005000012340000") FPR(SIGN_FPR) GRP(GRIP("2")), true, 0, "2",
                  "A\nkey " SIGN_FPR "\nof " PRIMARY_FPR },
                { "the first of two user IDs", PRIMARY("1", "A") USR("B"), false, 0, "1", "A\nkey " PRIMARY_FPR },
                { "two certificates", PRIMARY("1", "A") PRIMARY("2", "B"), false, 0, "12", "B\nkey " PRIMARY_FPR },
                { "no user ID", SEC("+") FPR(PRIMARY_FPR) GRP(GRIP("1")), false, 0, "1",
                  "(no user ID)\nkey " PRIMARY_FPR },
                { "a user ID that is no ASCII", PRIMARY("1", "T\xc3\xa9\x1b[31m"), false, 0, "1",
                  "T???[31m\nkey " PRIMARY_FPR },
                { "a keygrip that is too short", SEC("+") FPR(PRIMARY_FPR) GRP("12"), false, KEYLIST_E_MALFORMED, "",
                  NULL },
                { "a keygrip in small letters", SEC("+") GRP("a234567890123456789012345678901234567890"), false,
                  KEYLIST_E_MALFORMED, "", NULL },
                { "a fingerprint that is too long", SEC("+") FPR(PRIMARY_FPR PRIMARY_FPR), false, KEYLIST_E_MALFORMED,
                  "", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(keylist_deinit) KeyList list = {};
                int r = keylist_parse(cases[i].text, cases[i].subkeys_alone, &list);

                if (r != cases[i].r || list.n_keys != strlen(cases[i].expect))
                        fail_msg("%s: got %d, %zu keys", cases[i].name, r, list.n_keys);
                for (size_t k = 0; k < list.n_keys; ++k)
                        assert_int_equal(list.keys[k].grip[0], cases[i].expect[k]);
                if (cases[i].description && strcmp(list.keys[list.n_keys - 1].description, cases[i].description) != 0)
                        fail_msg("%s: \"%s\"", cases[i].name, list.keys[list.n_keys - 1].description);
        }
}

static void test_number_of_keys(void **state) {
        static const char key[] = SEC("+") FPR(PRIMARY_FPR) GRP(GRIP("1"));
        char *text = malloc((KEYLIST_KEYS_MAX + 2) * strlen(key) + 1), *end = text;

        (void)state;
        assert_non_null(text);
        for (size_t i = 0; i < KEYLIST_KEYS_MAX; ++i)
                end = stpcpy(end, key);
        for (size_t i = 0; i < 2; ++i) {
                _cleanup_(keylist_deinit) KeyList list = {};

                assert_int_equal(keylist_parse(text, false, &list), i == 0 ? 0 : KEYLIST_E_LIMIT);
                end = stpcpy(end, key);
        }
        free(text);
}

static void test_the_longest_fits_a_line(void **state) {
        char text[1024], user[2 * KEYLIST_USER_MAX + 1], line[ASSUAN_LINE_MAX + 1 - sizeof("SETKEYDESC")];
        _cleanup_(keylist_deinit) KeyList list = {};

        (void)state;
        memset(user, '<', sizeof(user) - 1);
        user[sizeof(user) - 1] = '\0';
        (void)snprintf(text, sizeof(text),
                       SEC("+") FPR("%.64d") "uid:::::::::%s:\n" SSB("+") FPR("%.64d") GRP(GRIP("2")), 0, user, 0);
        assert_int_equal(keylist_parse(text, true, &list), 0);
        assert_int_equal(list.n_keys, 1);
        assert_int_equal(strcspn(list.keys[0].description, "\n"), KEYLIST_USER_MAX);
        assert_int_equal(assuan_text_encode(list.keys[0].description, line, sizeof(line)), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_number_of_keys),
                cmocka_unit_test(test_the_longest_fits_a_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
