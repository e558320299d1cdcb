/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "tools/relay-key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

#define B64 "AAAAC3NzaC1lZDI1NTE5AAAAIOzww2erMXbRZ/nsC7AeDYqEYPhRfO06NkdzrQHos6r1"

static void test_parse(void **state) {
        static const struct {
                const char *name, *text;
                int expect;
        } cases[] = {
                { "plain", "ssh-ed25519 " B64, 0 },
                { "a comment", "ssh-ed25519 " B64 " net-relay@a with blanks", 0 },
                { "a newline at the end", "ssh-ed25519 " B64 "\n", 0 },
                { "padding", "ssh-rsa " B64 "==", 0 },
                { "a security key", "sk-ssh-ed25519@openssh.com " B64, 0 },
                { "nothing", "", RELAY_KEY_E_TYPE },
                { "a type alone", "ssh-ed25519", RELAY_KEY_E_TYPE },
                { "another type", "ssh-dss " B64, RELAY_KEY_E_TYPE },
                { "options", "command=\"sh\" ssh-ed25519 " B64, RELAY_KEY_E_TYPE },
                { "no key", "ssh-ed25519 ", RELAY_KEY_E_MALFORMED },
                { "a short key", "ssh-ed25519 AAAA", RELAY_KEY_E_MALFORMED },
                { "too much padding", "ssh-rsa " B64 "===", RELAY_KEY_E_MALFORMED },
                { "no base64", "ssh-ed25519 " B64 "\"", RELAY_KEY_E_MALFORMED },
                { "a second line", "ssh-ed25519 " B64 "\nssh-ed25519 " B64, RELAY_KEY_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                RelayKey key = {};
                int r = relay_key_parse(cases[i].text, &key);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d", cases[i].name, r);
                if (!r && strstr(key.text, "net-relay"))
                        fail_msg("%s: the comment is kept", cases[i].name);
        }
}

static void test_is_in(void **state) {
        static const char file[] = "restrict,command=\"x\" ssh-ed25519 " B64 "x\nrestrict ssh-ed25519 " B64 " a\n";
        RelayKey key;

        assert_int_equal(relay_key_parse("ssh-ed25519 " B64, &key), 0);
        assert_true(relay_key_is_in(&key, file, strlen(file)));
        assert_false(relay_key_is_in(&key, file, strlen(file) - 4));
        assert_false(relay_key_is_in(&key, "", 0));
        assert_true(relay_key_is_in(&key, key.text, strlen(key.text)));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_is_in),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
